"""How good frozen features are."""

from .classifiers import knn_predict, knn_top1, probe_top1
from .features import extract_settings, frozen_features, load_model, loading_of, refresh_settings
from .labelled import LabelledViews, train_and_held_out
from .representation import alignment, diagnose, intra_class_similarity, uniformity

__all__ = [
    'LabelledViews', 'alignment', 'diagnose', 'extract_settings', 'frozen_features', 'intra_class_similarity',
    'knn_predict', 'knn_top1', 'load_model', 'loading_of', 'probe_top1', 'refresh_settings', 'train_and_held_out',
    'uniformity'
]
