"""From features to positives: plain functions that need no Runner (paper section 3.2.1 and A.2).

    features -> cluster -> search -> select_positives -> NeighborTable

On large sets ``train_centroids`` and ``search_lists`` take the places of ``cluster`` and ``search``.
"""

from .cluster import cluster, train_centroids
from .search import search
from .search_lists import search_lists
from .select import STRATEGIES, select_positives
from .table import NeighborTable

__all__ = [
    'STRATEGIES', 'NeighborTable', 'cluster', 'search', 'search_lists', 'select_positives', 'train_centroids'
]
