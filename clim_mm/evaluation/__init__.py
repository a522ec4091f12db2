"""How good frozen features are."""

from .diagnose import diagnose
from .features import frozen_features, load_model
from .knn import knn_predict, knn_top1
from .labelled import LabelledViews, train_and_held_out
from .probe import probe_top1
from .refresh_settings import extract_settings, loading_of, refresh_settings
from .representation import alignment, intra_class_similarity, uniformity

__all__ = [
    'LabelledViews', 'alignment', 'diagnose', 'extract_settings', 'frozen_features', 'intra_class_similarity',
    'knn_predict', 'knn_top1', 'load_model', 'loading_of', 'probe_top1', 'refresh_settings', 'train_and_held_out',
    'uniformity'
]
