"""How good frozen features are."""

from .features import LabelledViews, frozen_features, load_model, loading_of, refresh_settings, train_and_held_out
from .measures import alignment, diagnose, intra_class_similarity, knn_predict, knn_top1, probe_top1, uniformity

__all__ = [
    'LabelledViews', 'alignment', 'diagnose', 'frozen_features', 'intra_class_similarity', 'knn_predict', 'knn_top1',
    'load_model', 'loading_of', 'probe_top1', 'refresh_settings', 'train_and_held_out', 'uniformity'
]
