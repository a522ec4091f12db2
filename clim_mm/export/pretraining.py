"""What a checkpoint tells of the pretraining that wrote it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from clim_mm.checkpoints.normalization import normalization_of
from clim_mm.checkpoints.saved_settings import settings_of
from clim_mm.errors import CheckpointError, on_one_line

# The sections of a config that say what was trained and how; the others hold paths of a machine.
_SECTIONS = ('model', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'randomness')
_EXPERIMENT = re.compile(r'_\d{8}_\d{6}$')  # MMEngine appends the time to the config's name


@dataclass(frozen=True)
class Input:
    """What images the backbone was trained on.

    Attributes:
        channel_order: ``RGB`` or ``BGR``.
        mean, std: Of the channels in that order, for pixels from 0 to 255.
        size: Side of the largest views, in pixels; None if the config does not say.
    """

    channel_order: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: Optional[int]


@dataclass(frozen=True)
class Pretraining:
    """What is known of a pretraining.

    Attributes:
        config: ``name``, and the sections that say what was trained and how.
        backbone: The settings of its backbone.
        epochs: Trained when the checkpoint was written; None if it does not say.
        date: Of the checkpoint, ISO 8601 in the machine's own time; None if it does not say.
        input: Of its backbone.
    """

    config: dict[str, Any]
    backbone: dict[str, Any]
    epochs: Optional[int]
    date: Optional[str]
    input: Input


def pretraining_of(meta: Any, checkpoint: str) -> Pretraining:
    """Read a checkpoint's ``meta``, as MMEngine's Runner writes it. Nothing of it is run.

    Args:
        meta: Of the checkpoint.
        checkpoint: Its name, for messages.

    Raises:
        CheckpointError: If there is no config in it, or none with a backbone.
    """
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    settings = settings_of(text) if isinstance(text, str) else {}
    model = settings.get('model')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if not isinstance(backbone, Mapping) or not isinstance(model, Mapping):
        raise CheckpointError(f'{checkpoint} has no config of its training that names a backbone, without which its '
                              'strides and its input are unknown: give the checkpoint as the pretraining wrote it.')
    try:
        wanted = _input(model, settings)
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f'The config in {checkpoint} does not say what images its backbone takes '
                              f'({on_one_line(error)}): give the checkpoint as the pretraining wrote it.') from error
    name = _EXPERIMENT.sub('', str(meta.get('experiment_name', '')))
    config = dict(name=name, **{key: _plain(settings[key]) for key in _SECTIONS if key in settings})
    epochs = meta.get('epoch')
    return Pretraining(
        config, dict(backbone), epochs if isinstance(epochs, int) else None, _iso(meta.get('time')), wanted)


def _input(model: Mapping, settings: Mapping) -> Input:
    given = model.get('data_preprocessor') or {}
    found = normalization_of(given)
    mean, std = (tuple(found[name] or 3 * (neutral, )) for name, neutral in (('mean', 0.0), ('std', 1.0)))
    return Input(found['order'], mean, std, max(_view_sizes(settings.get('train_dataloader')), default=None))


def _view_sizes(value: Any) -> Iterator[int]:
    """The sides of the views that a pipeline crops: of ``MultiRes``, or of a random crop."""
    if isinstance(value, Mapping):
        crops = str(value.get('type')).endswith('RandomResizedCrop')
        yield from (size for size in value.get('resolutions') or () if isinstance(size, int))
        for size in (value.get('size'), value.get('scale')) if crops else ():
            yield from ([size] if isinstance(size, int) else (side for side in size or () if isinstance(side, int)))
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for item in value:
        yield from _view_sizes(item)


def _iso(time: Any) -> Optional[str]:
    try:
        return datetime.strptime(time, '%Y%m%d_%H%M%S').isoformat()
    except (TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """As JSON has it: with lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
