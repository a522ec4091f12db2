"""What evaluations take from a config and a checkpoint: the frozen model, its features, and labelled images."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
from clim_mm.checkpoints.weights import COUNTER, check_read, check_sound, check_start, compare, not_finite
from clim_mm.datasets import SingleViews, labels_of
from clim_mm.datasets.held_out import Listing, check_held_out, classes_of
from clim_mm.datasets.source import build_source, place_of
from clim_mm.errors import ConfigError, DataError, some_of
from clim_mm.protocols import AssignsClusters, Embeds, UpgradesState, having
from clim_mm.registry import MODELS

from .extract import BATCH_SIZE, NUM_WORKERS, extract_features


@dataclass(frozen=True)
class LabelledViews:
    """One deterministic view of each of N images, and the class of each."""

    views: SingleViews
    labels: np.ndarray  # (N,) int64
    classes: tuple[str, ...]  # names by label; numbers where the dataset has no names


def load_model(cfg: Config,
               checkpoint: Optional[str] = None,
               reads: Iterable[tuple[str, str]] = (('query', 'pooled'), ),
               tell: Callable[[str], None] = print,
               assigns: bool = False) -> Any:
    """The config's model, in eval mode, with a checkpoint's weights or freshly initialised by the config's seed.

    Args:
        checkpoint: A file, or an address that MMEngine knows: of this model, or a backbone as others publish theirs.
        reads: Encoder and layer of the features that will be taken, as for :func:`frozen_features`.
        tell: Takes a sentence on each premise that was checked.
        assigns: Whether the assignments of its cluster heads will be taken, if it has any.
    """
    init_default_scope(cfg.default_scope)
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)
    model = MODELS.build(cfg.model)
    having(model, Embeds, 'An evaluation of frozen features', 'give the config of a pretraining whose model embeds')
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')  # init_weights lists every parameter
    model.init_weights()
    logger.setLevel(level)
    if checkpoint is not None:
        found = published(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))
        tell(_load(model, found, checkpoint, reads, assigns))
        own = normalization_in(dict(cfg.items())) or normalization_of({})
        tell(check_normalization(own, found.normalization, checkpoint))
    return model.to(get_device()).eval()


def _load(model: Any, found: Published, checkpoint: str, reads: Iterable[tuple[str, str]], assigns: bool) -> str:
    """Give a model a checkpoint's weights, and say which modules have theirs whole."""
    names = {module: name for name, module in model.named_modules()}
    modules = [names[module] for encoder, layer in reads  # a pooled feature does not need the neck
               for module in list(model.encoder(encoder).children())[:2 if layer == 'embedding' else 1]]
    weights = dict(found.weights)
    if isinstance(model, UpgradesState):
        model.upgrade_state(weights)
    fit = compare(weights, model.state_dict())
    if not found.owner:  # not of another framework, so of no other model
        check_start(fit, f'checkpoint {checkpoint}')
    counts = check_read(fit, modules, f'{checkpoint}{found.origin}')
    lacking = [name for name in fit.missing if not name.endswith(COUNTER)]
    if assigns and lacking and isinstance(model, AssignsClusters):  # which weights they need, the model alone knows
        raise ConfigError(f'{checkpoint}{found.origin} does not have all weights that cluster heads need '
                          f'({some_of(lacking, 3)}): give a checkpoint of this model, or a config of a model without '
                          'cluster heads.')
    check_sound(not_finite('weights', {name: weights[name] for name in fit.matched}), f'checkpoint {checkpoint}')
    model.load_state_dict({name: weights[name] for name in fit.matched}, strict=False)
    read = ' and '.join(f'all {number} tensors of the {module}' for module, number in counts.items())
    return f'Features are taken by {read}, which are those of {checkpoint}{found.origin}.'


def frozen_features(model: Any, views: SingleViews, settings: Mapping, encoder: str = 'query',
                    layer: str = 'pooled') -> Optional[np.ndarray]:
    """(N, d) float32 features of images, L2-normalised, on rank 0; None on other processes.

    Args:
        model: One that embeds, in eval mode.
        settings: Of :func:`extract_settings`, for ``batch_size`` and ``num_workers``.
        encoder: ``query`` or ``momentum``.
        layer: ``pooled``, the average-pooled output of the backbone, or ``embedding``, that of the neck.
    """
    return extract_features(partial(model.embed_batch, encoder=encoder, layer=layer), views,
                            settings.get('batch_size', BATCH_SIZE), settings.get('num_workers', NUM_WORKERS))


def soft_assignments(model: Any, views: SingleViews, settings: Mapping) -> dict[str, np.ndarray]:
    """By cluster head, ``head_K``, (N, K) float32 soft assignments of images; empty if the model has no heads.

    Args:
        model: In eval mode.
        settings: As for :func:`frozen_features`.
    """
    names = head_names(model)
    if not names:
        return {}
    together = extract_features(model.assign_batch, views, settings.get('batch_size', BATCH_SIZE),
                                settings.get('num_workers', NUM_WORKERS))
    assert together is not None, 'this is the only process'
    return dict(zip(names, np.split(together, np.cumsum(model.num_clusters)[:-1], axis=1), strict=True))


def head_names(model: Any) -> list[str]:
    """``head_K`` for each cluster head of a model, in their order; the second of the same K is ``head_K_2``."""
    numbers = model.num_clusters if isinstance(model, AssignsClusters) else ()
    same = [numbers[:place].count(number) for place, number in enumerate(numbers)]
    return [f'head_{number}' + (f'_{before + 1}' if before else '')
            for number, before in zip(numbers, same, strict=True)]


def refresh_settings(cfg: Config) -> Mapping[str, Any]:
    """The config's ``CenterWiseNeighborHook``; empty if it has none."""
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    return next((hook for hook in hooks if isinstance(hook, Mapping)
                 and str(hook.get('type')).rpartition('.')[2] == 'CenterWiseNeighborHook'), {})


def extract_settings(cfg: Config) -> Mapping[str, Any]:
    """The settings of features: ``extract`` of the neighbour hook, or else the config's own."""
    found = refresh_settings(cfg).get('extract') or cfg.get('extract')
    if not found:
        raise ConfigError('The config does not say in which view features are taken: give it `extract` with a '
                          '`pipeline`, as configs/_base_/pretraining_runtime.py does.')
    return found


def train_and_held_out(cfg: Config, tell: Callable[[str], None] = print) -> tuple[LabelledViews, LabelledViews]:
    """The images that the config trains on, and those that its ``held_out`` names, each in the view of the refresh.

    Args:
        cfg: Has ``held_out``, the keys by which the dataset of the held-out images differs.
        tell: Takes a sentence on the premises that were checked.
    """
    if 'held_out' not in cfg:
        raise ConfigError('The config holds no images out: set, for example, held_out.data_prefix=val.')
    source = _measured_source(cfg)
    held_out = dict(source, **cfg.held_out)
    train = _labelled(train_views(cfg), source)
    test = _labelled(_views(cfg, held_out, 'held_out'), held_out)
    tell(check_held_out(Listing.of(train.views.dataset), Listing.of(test.views.dataset),
                        f'held_out (now {place_of(held_out)})'))
    return train, test


def train_views(cfg: Config) -> SingleViews:
    """The images that the config trains on, with labels or without, in the view of the refresh."""
    return _views(cfg, _measured_source(cfg), 'train_dataloader.dataset.dataset')


def has_labels(cfg: Config) -> bool:
    """Whether all images that the config trains on have one."""
    return labels_of(train_views(cfg).dataset) is not None


def _measured_source(cfg: Config) -> dict:
    source = dict(source_config(cfg))
    source.pop('unlabelled', None)  # a measurement has no use for images without labels beside others
    return source


def _views(cfg: Config, source: dict, key: str) -> SingleViews:
    init_default_scope(cfg.default_scope)
    return SingleViews(build_source(source, key), extract_settings(cfg)['pipeline'])


def _labelled(views: SingleViews, source: dict) -> LabelledViews:
    labels = labels_of(views.dataset)
    if labels is None:
        raise DataError(f'The images in {place_of(source)} have no labels, without which this cannot be measured: give '
                        'a dataset with labels, such as ClassFolder with a folder for each class.')
    return LabelledViews(views, labels, classes_of(views.dataset) or tuple(map(str, range(int(labels.max()) + 1))))


def source_config(cfg: Config) -> dict:
    """The config of the dataset that tells which images there are to train on."""
    dataset = cfg.train_dataloader.dataset
    return dict(dataset.get('dataset', dataset))
