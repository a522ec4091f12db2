"""Frozen features from a config and a checkpoint, in the view in which the training takes its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Optional

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, set_random_seed

from clim_mm.checkpoints.backbone import Published, published
from clim_mm.checkpoints.normalization import check_normalization, normalization_in, normalization_of
from clim_mm.checkpoints.weights import check_read, check_sound, check_start, compare, not_finite
from clim_mm.datasets import SingleViews
from clim_mm.errors import ConfigError, UserError, on_one_line
from clim_mm.protocols import Embeds, UpgradesState, having
from clim_mm.registry import MODELS

from .extract import BATCH_SIZE, NUM_WORKERS, extract_features, loading_settings


def load_model(cfg: Config,
               checkpoint: Optional[str] = None,
               reads: Iterable[tuple[str, str]] = (('query', 'pooled'), ),
               tell: Callable[[str], None] = print) -> Any:
    """The config's model, in eval mode, with a checkpoint's weights or freshly initialised by the config's seed.

    Args:
        checkpoint: A file, or an address that MMEngine knows: of this model, or a backbone as others publish theirs.
        reads: The features that will be taken: encoder and layer, as for :func:`frozen_features`.
        tell: Takes a sentence on each premise that was checked.
    """
    init_default_scope(cfg.default_scope)
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)
    model = _built(cfg)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')  # init_weights lists every parameter
    model.init_weights()
    logger.setLevel(level)
    if checkpoint is not None:
        found = published(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))
        tell(_load(model, found, checkpoint, [name for read in reads for name in modules_of(*read)]))
        here = normalization_in(dict(cfg.items())) or normalization_of({})
        tell(check_normalization(here, found.normalization, checkpoint))
    return model.to(get_device()).eval()


def _built(cfg: Config) -> Any:
    try:
        model = MODELS.build(cfg.model)
    except UserError:
        raise
    except Exception as error:  # whatever a part raises for a setting that it does not know
        raise ConfigError(f'The model of the config cannot be built ({type(error).__name__}: {on_one_line(error)}): '
                          'correct the settings of model.') from error
    having(model, Embeds, 'An evaluation of frozen features', 'give the config of a pretraining whose model embeds')
    return model


def modules_of(encoder: str, layer: str) -> list[str]:
    """The modules of a model that its features come from, see :func:`frozen_features`."""
    query, key = ('backbone', 'neck'), ('encoder_k.module.0', 'encoder_k.module.1')
    return list((key if encoder == 'momentum' else query)[:2 if layer == 'embedding' else 1])


def _load(model: Any, found: Published, checkpoint: str, modules: Sequence[str]) -> str:
    """Give a model a checkpoint's weights, and say which modules have theirs whole."""
    weights = dict(found.weights)
    if isinstance(model, UpgradesState):
        model.upgrade_state(weights)
    fit = compare(weights, model.state_dict())
    if not found.owner:  # not of another framework, so of no other model
        check_start(fit, f'checkpoint {checkpoint}')
    counts = check_read(fit, modules, f'{checkpoint}{found.origin}')
    check_sound(not_finite('weights', {name: weights[name] for name in fit.matched}), f'checkpoint {checkpoint}')
    model.load_state_dict({name: weights[name] for name in fit.matched}, strict=False)
    read = ' and '.join(f'all {number} tensors of the {module}' for module, number in counts.items())
    return f'Features are taken by {read}, which are those of {checkpoint}{found.origin}.'


def frozen_features(model: Any,
                    views: SingleViews,
                    batch_size: int = BATCH_SIZE,
                    num_workers: int = NUM_WORKERS,
                    encoder: str = 'query',
                    layer: str = 'pooled') -> Optional[np.ndarray]:
    """Features of images by a model that embeds, in eval mode.

    Args:
        encoder: ``query`` or ``momentum``.
        layer: ``pooled``, the average-pooled output of the backbone, or ``embedding``, that of the neck.

    Returns:
        (N, d) float32, L2-normalised, on rank 0; None on other processes.
    """
    return extract_features(partial(model.embed_batch, encoder=encoder, layer=layer), views, batch_size, num_workers)


def find_refresh(cfg: Config) -> Optional[Mapping[str, Any]]:
    """The config's ``CenterWiseNeighborHook``, if it has one."""
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    return next((hook for hook in hooks if isinstance(hook, Mapping)
                 and str(hook.get('type')).rpartition('.')[2] == 'CenterWiseNeighborHook'), None)


def refresh_settings(cfg: Config) -> Mapping[str, Any]:
    """The config's ``CenterWiseNeighborHook``; a ConfigError if it has none."""
    if hook := find_refresh(cfg):
        return hook
    raise ConfigError('The config has no CenterWiseNeighborHook, so that its training has no positives: give one that '
                      'inherits from configs/_base_/clim_runtime.py.')


def extract_settings(cfg: Config) -> Mapping[str, Any]:
    """How features are taken: ``extract`` of the neighbour hook, or else the config's own."""
    found = (find_refresh(cfg) or {}).get('extract') or cfg.get('extract')
    if not found:
        raise ConfigError('The config does not say in which view features are taken: give it `extract` with a '
                          '`pipeline`, as configs/_base_/pretraining_runtime.py does.')
    return found


def loading_of(cfg: Config) -> dict[str, Any]:
    """``batch_size`` and ``num_workers`` of the extraction, as far as the config gives them."""
    return loading_settings(extract_settings(cfg))
