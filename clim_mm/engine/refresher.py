"""Which hook refreshes the neighbours, for hooks that look at what it finds."""

from mmengine.runner import Runner

from clim_mm.errors import ConfigError

from .center_wise_neighbor_hook import CenterWiseNeighborHook


def refresher_of(runner: Runner, hook: str) -> CenterWiseNeighborHook:
    """The Runner's ``CenterWiseNeighborHook``, for a hook of that name.

    Raises:
        ConfigError: If there is none.
    """
    for other in runner.hooks:
        if isinstance(other, CenterWiseNeighborHook):
            return other
    raise ConfigError(f'{hook} shows what CenterWiseNeighborHook finds, and there is none: inherit from '
                      f'configs/_base_/neighbors/center_wise.py, or take {hook} out of the config.')
