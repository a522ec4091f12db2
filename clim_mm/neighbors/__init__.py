"""From features to positives: plain functions that need no Runner (paper section 3.2.1 and A.2).

    features -> cluster -> search -> select_positives -> NeighborTable

On large sets ``train_centroids`` and ``ivf_search`` take the places of ``cluster`` and ``search``.
"""

from .exact_search import search
from .ivf import ivf_search
from .kmeans import cluster, train_centroids
from .positives import STRATEGIES, select_positives
from .table import NeighborTable

__all__ = ['STRATEGIES', 'NeighborTable', 'cluster', 'ivf_search', 'search', 'select_positives', 'train_centroids']
