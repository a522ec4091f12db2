"""How good frozen features are."""

from .features import backbone_features, load_model
from .knn import knn_top1

__all__ = ['backbone_features', 'knn_top1', 'load_model']
