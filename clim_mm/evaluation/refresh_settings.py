"""How a config's refresh takes its features: what is measured is seen as it was in training."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from clim_mm.engine.extraction import loading_settings
from clim_mm.errors import ConfigError


def refresh_settings(cfg: Config) -> Mapping[str, Any]:
    """The config's ``CenterWiseNeighborHook``.

    Raises:
        ConfigError: If it has none.
    """
    for hook in [*(cfg.get('custom_hooks') or []), *(cfg.get('default_hooks') or {}).values()]:
        if isinstance(hook, Mapping) and str(hook.get('type')).rpartition('.')[2] == 'CenterWiseNeighborHook':
            return hook
    raise ConfigError('The config has no CenterWiseNeighborHook, so that its training has no positives: give one that '
                      'inherits from configs/_base_/neighbors/center_wise.py.')


def loading_of(cfg: Config) -> dict[str, Any]:
    """``batch_size`` and ``num_workers`` of the refresh's extraction, as far as the config gives them.

    Raises:
        ConfigError: If the config has no ``CenterWiseNeighborHook``.
    """
    return loading_settings(refresh_settings(cfg)['extract'])
