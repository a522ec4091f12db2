"""How good frozen features are."""

from .features import LabelledViews, extract_settings, frozen_features, load_model, train_and_held_out
from .measures import diagnose, intra_class_similarity, knn_predict, knn_top1, probe_top1

__all__ = [
    'LabelledViews', 'diagnose', 'extract_settings', 'frozen_features', 'intra_class_similarity', 'knn_predict',
    'knn_top1', 'load_model', 'probe_top1', 'train_and_held_out'
]
