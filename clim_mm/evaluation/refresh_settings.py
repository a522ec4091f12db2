"""How a config takes features: what is measured is seen as it was in training."""

from collections.abc import Mapping
from typing import Any, Optional

from mmengine.config import Config

from clim_mm.errors import ConfigError

from .extraction import loading_settings


def find_refresh(cfg: Config) -> Optional[Mapping[str, Any]]:
    """The config's ``CenterWiseNeighborHook``, if it has one."""
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    return next((hook for hook in hooks if isinstance(hook, Mapping)
                 and str(hook.get('type')).rpartition('.')[2] == 'CenterWiseNeighborHook'), None)


def refresh_settings(cfg: Config) -> Mapping[str, Any]:
    """The config's ``CenterWiseNeighborHook``.

    Raises:
        ConfigError: If it has none.
    """
    if hook := find_refresh(cfg):
        return hook
    raise ConfigError('The config has no CenterWiseNeighborHook, so that its training has no positives: give one that '
                      'inherits from configs/_base_/clim_runtime.py.')


def extract_settings(cfg: Config) -> Mapping[str, Any]:
    """How features are taken: ``extract`` of the neighbour hook, or else the config's own.

    Raises:
        ConfigError: If there is neither.
    """
    found = (find_refresh(cfg) or {}).get('extract') or cfg.get('extract')
    if not found:
        raise ConfigError('The config does not say in which view features are taken: give it `extract` with a '
                          '`pipeline`, as configs/_base_/pretraining_runtime.py does.')
    return found


def loading_of(cfg: Config) -> dict[str, Any]:
    """``batch_size`` and ``num_workers`` of the extraction, as far as the config gives them.

    Raises:
        ConfigError: As for ``extract_settings``.
    """
    return loading_settings(extract_settings(cfg))
