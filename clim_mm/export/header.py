"""The header of an exported file: which pretraining its weights come from, and what images they want."""

import json
import os
import os.path as osp
import re
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Optional, Union

from clim_mm.causes import machine_error
from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.backbone import KEY, header_in
from clim_mm.checkpoints.normalization import normalization_of, settings_of
from clim_mm.errors import CheckpointError, on_one_line

PROGRAM = '.pt2'  # ending of a program of torch.export
WEIGHTS_FILE = 'model.safetensors'  # in a folder for Hugging Face
# The sections of a config that say what was trained and how; the others hold paths of a machine.
_SECTIONS = ('model', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'randomness')
_TIME = re.compile(r'_\d{8}_\d{6}$')  # MMEngine appends it to the config's name


def pretraining_of(meta: Any, checkpoint: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a checkpoint's ``meta`` tells of its pretraining.

    Args:
        meta: As MMEngine's Runner writes it; nothing of it is run.
        checkpoint: Its name, for messages.

    Returns:
        The header's part: ``config`` (its name and the sections that say what was trained), ``epochs`` and ``date``
        (ISO 8601; both None where unknown), and ``input`` (``channel_order``, ``mean`` and ``std`` for pixels from 0 to
        255, and ``size``, the side of the largest views in pixels). Second, the settings of the backbone.
    """
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    settings = settings_of(text) if isinstance(text, str) else {}
    model = settings.get('model')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if not isinstance(backbone, Mapping) or not isinstance(model, Mapping):
        raise CheckpointError(f'{checkpoint} has no config of its training that names a backbone, without which its '
                              'strides and its input are unknown: give the checkpoint as the pretraining wrote it.')
    try:
        given = normalization_of(model.get('data_preprocessor') or {})
        mean, std = (list(given[name] or 3 * (neutral, )) for name, neutral in (('mean', 0.0), ('std', 1.0)))
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f'The config in {checkpoint} does not say what images its backbone takes '
                              f'({on_one_line(error)}): give the checkpoint as the pretraining wrote it.') from error
    size = max(_view_sizes(settings.get('train_dataloader')), default=None)
    sections = {key: settings[key] for key in _SECTIONS if key in settings}
    name = _TIME.sub('', str(meta.get('experiment_name', '')))
    try:
        date = datetime.strptime(meta.get('time'), '%Y%m%d_%H%M%S').isoformat()
    except (TypeError, ValueError):
        date = None
    return dict(
        config=json.loads(json.dumps(dict(name=name, **sections), default=str)),
        epochs=meta['epoch'] if isinstance(meta.get('epoch'), int) else None, date=date,
        input=dict(channel_order=given['order'], mean=mean, std=std, size=size)), dict(backbone)


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


def read_header(path: Union[str, os.PathLike]) -> Optional[dict[str, Any]]:
    """The header of an exported file or folder; None if it has none.

    Args:
        path: A file of ``torch.save`` or ``torch.export``, a safetensors file, or a folder with one.
    """
    path = osp.expanduser(os.fspath(path))
    if osp.isfile(osp.join(path, WEIGHTS_FILE)):
        path = osp.join(path, WEIGHTS_FILE)
    if path.endswith(PROGRAM) and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next((name for name in archive.namelist() if name.endswith(f'/extra/{KEY}')), None)
            return None if name is None else json.loads(archive.read(name))
    if not (path.endswith('.safetensors') and osp.isfile(path)):
        return header_in(read_checkpoint(path))
    try:  # it begins with the length of a JSON text, 8 bytes, little-endian, and the text
        with open(path, 'rb') as file:
            length = int.from_bytes(file.read(8), 'little')
            if length > osp.getsize(path):
                raise ValueError('it is cut off')
            text = (json.loads(file.read(length)).get('__metadata__') or {}).get(KEY)
        return None if text is None else json.loads(text)
    except (OSError, ValueError, AttributeError) as error:
        raise machine_error(error) or CheckpointError(
            f'{path} is no whole safetensors file ({error}): export it anew.') from error
