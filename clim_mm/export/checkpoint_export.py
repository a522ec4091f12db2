"""From a checkpoint of a pretraining to a file of another library."""

import os.path as osp
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import torch

from clim_mm.checkpoints import read_checkpoint, write_atomically
from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.checkpoints.backbone import header_in
from clim_mm.checkpoints.weights import weights_of
from clim_mm.checks import check_choice
from clim_mm.errors import ConfigError

from .any_backbone import any_backbone
from .formats import FORMATS
from .header import PROGRAM, WEIGHTS_FILE, header_of, read_header
from .libraries import library_of
from .parity import MOST, check_parity
from .placing import check_place, place_folder
from .plain_resnet import plain_resnet
from .pretraining import pretraining_of

_PREFIX = 'backbone.'  # of the query encoder's backbone; the momentum encoder's is below encoder_k


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        header: Of the file, see ``header_of``.
        num_tensors: In the file.
        difference: Of the features, the largest on random images.
    """

    header: dict[str, Any]
    num_tensors: int
    difference: float


def export(checkpoint: str, target: str, out: str, depth: Optional[int] = None, force: bool = False) -> Exported:
    """Write the backbone of a checkpoint as another library reads it, if that library computes the same with it.

    Args:
        checkpoint: A file as a pretraining has written it; it is read as data only.
        target: One of ``FORMATS``.
        out: The file to write; for Hugging Face a folder.
        depth: That the backbone must have; None for any.
        force: Replace an export that is there.

    Raises:
        CheckpointError: If the checkpoint cannot be read, does not say how it was trained, or the library computes
            something else with the exported weights.
        ConfigError: If it is no checkpoint of a pretraining, its backbone is no plain ResNet or of another depth, or
            something is in the way of ``out``.
        MissingDependencyError: If what the file is written with is not installed.
    """
    check_choice('--to', target, FORMATS)
    form = FORMATS[target]
    _refuse_export(checkpoint)
    if osp.realpath(out) == osp.realpath(osp.expanduser(checkpoint)):
        raise ConfigError(f'--out {out} is the checkpoint itself: give another name.')
    check_place(out, form.is_folder, force, form.endings)

    held = read_checkpoint(checkpoint)
    weights = _backbone_of(held, checkpoint)
    pretraining = pretraining_of(held.get('meta'), checkpoint)
    original: Any = (any_backbone if form.program else plain_resnet)(weights, pretraining.backbone, checkpoint)
    found: Any = getattr(original, 'depth', None)
    if depth is not None and depth != found:
        raise ConfigError(f'--depth {depth}: the backbone of {checkpoint} is a {_said(original)}, so give the '
                          f'checkpoint of a ResNet-{depth}, or leave --depth out.')

    library = library_of(target)
    tensors = form.tensors(original.state_dict())
    header = header_of(
        target, _said(original).replace('-', '').lower(), pretraining, file_sha256(osp.expanduser(checkpoint)), tensors,
        dict(against=library.name, most=MOST))
    files = form.files(original, header)
    with tempfile.TemporaryDirectory() as folder:
        tried = folder if form.is_folder else osp.join(folder, f'weights{form.endings[0]}')
        for name, content in files.items():
            write_atomically(osp.join(tried, name) if name else tried, content)
        difference = check_parity(original, library, tried, found)
    if form.is_folder:
        place_folder(out, files)
    else:
        write_atomically(out, files[''])
    return Exported(header, len(tensors), difference)


def _said(backbone: Any) -> str:
    """As in ``ResNet-50``."""
    kind, depth = type(backbone).__name__, getattr(backbone, 'depth', None)
    return kind if depth is None else f'{kind}-{depth}'


def _refuse_export(path: str) -> None:
    """Refuse what is an export already, before it is taken for a damaged checkpoint."""
    path = osp.expanduser(path)
    is_safetensors = path.endswith('.safetensors') or osp.isfile(osp.join(path, WEIGHTS_FILE))
    header = read_header(path) if is_safetensors or path.endswith(PROGRAM) else None
    if header is not None:
        _say_exported(path, header)
    if is_safetensors and osp.exists(path):
        raise ConfigError(f'{path} has weights for Hugging Face and no training: give the checkpoint as the '
                          'pretraining wrote it.')


def _say_exported(path: str, header: Mapping[str, Any]) -> None:
    raise ConfigError(f'{path} is already an export to {header["target"]}: give the checkpoint that it was made of, as '
                      'the pretraining wrote it.')


def _backbone_of(held: Mapping[str, Any], checkpoint: str) -> dict[str, torch.Tensor]:
    header = header_in(held)
    if header is not None:
        _say_exported(checkpoint, header)
    weights = {
        name.removeprefix(_PREFIX): value
        for name, value in weights_of(held).items() if name.startswith(_PREFIX) and isinstance(value, torch.Tensor)
    }
    if not weights:
        raise ConfigError(f'{checkpoint} has no backbone (none of its weights has a name that begins with {_PREFIX}): '
                          'give the checkpoint as the pretraining wrote it.')
    return weights
