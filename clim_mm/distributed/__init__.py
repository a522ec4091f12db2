"""Training in several processes, on one machine or on several."""

from .process_group import DeviceDDP, host_group, prepare_launch, unwrapped, watch_peers

__all__ = ['DeviceDDP', 'host_group', 'prepare_launch', 'unwrapped', 'watch_peers']
