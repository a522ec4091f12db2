"""How good frozen features are."""

from .diagnostics import diagnose
from .features import frozen_features, load_model
from .knn import knn_predict, knn_top1
from .knn_hook import KNNHook
from .labelled import LabelledViews, extraction_of, train_and_held_out
from .probe import probe_top1
from .representation import alignment, intra_class_similarity, uniformity

__all__ = [
    'KNNHook', 'LabelledViews', 'alignment', 'diagnose', 'extraction_of', 'frozen_features', 'intra_class_similarity',
    'knn_predict', 'knn_top1', 'load_model', 'probe_top1', 'train_and_held_out', 'uniformity'
]
