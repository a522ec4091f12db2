"""From features to positives: plain functions that need no Runner (paper section 3.2.1 and A.2).

    features -> cluster -> search -> select_positives -> NeighborTable
"""

from .cluster import cluster
from .search import search
from .select import STRATEGIES, select_positives
from .table import NeighborTable

__all__ = ['STRATEGIES', 'NeighborTable', 'cluster', 'search', 'select_positives']
