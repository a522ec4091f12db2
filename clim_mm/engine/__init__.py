"""When things happen, and on which processes."""

from .center_wise_neighbor_hook import CenterWiseNeighborHook
from .distributed import DeviceDDP

__all__ = ['CenterWiseNeighborHook', 'DeviceDDP']
