"""From a checkpoint of a pretraining to a file of another library."""

import os
import os.path as osp
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

import torch

from clim_mm.checkpoints import read_checkpoint, write_atomically
from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.checkpoints.backbone import header_in
from clim_mm.checkpoints.weights import weights_of, weights_sha256
from clim_mm.checks import check_choice
from clim_mm.errors import ConfigError, UserError
from clim_mm.version import __version__

from .backbone import rebuilt_backbone
from .formats import FORMATS, Format, program_file
from .header import PROGRAM, WEIGHTS_FILE, pretraining_of, read_header
from .parity import MOST, check_parity, library_of

_PREFIX = 'backbone.'  # of the query encoder's backbone; the momentum encoder's is below encoder_k


@dataclass(frozen=True)
class Exported:
    """What was exported: the file's header, and the largest difference of features on random images."""

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
    """
    check_choice('--to', target, FORMATS)
    form = FORMATS[target]
    check_place(out, form, force)

    weights, meta = _read_pretraining(checkpoint)
    pretraining, settings = pretraining_of(meta, checkpoint)
    original: Any = rebuilt_backbone(weights, settings, checkpoint, plain=form.write is not None)
    found: Any = getattr(original, 'depth', None)
    if depth is not None and depth != found:
        raise ConfigError(f'--depth {depth}: the backbone of {checkpoint} is a {type(original).__name__} of depth '
                          f'{found}: give another checkpoint, or leave --depth out.')

    library = library_of(target)
    tensors = form.tensors(original.state_dict())
    architecture = type(original).__name__.lower() + ('' if found is None else str(found))
    header = dict(
        target=target, architecture=architecture, clim_mm=__version__, **pretraining,
        checkpoint_sha256=file_sha256(osp.expanduser(checkpoint)), weights_sha256=weights_sha256(tensors),
        parity=dict(against=library.name, most=MOST))
    files = form.write(tensors, header) if form.write else program_file(original, header)
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


def _read_pretraining(checkpoint: str) -> tuple[dict[str, torch.Tensor], Any]:
    """The query encoder's backbone in a checkpoint, and its ``meta``."""
    path = osp.expanduser(checkpoint)
    is_other = path.endswith(('.safetensors', PROGRAM)) or osp.isfile(osp.join(path, WEIGHTS_FILE))
    held = {} if is_other else read_checkpoint(path)
    header = read_header(path) if is_other else header_in(held)
    if header is not None:
        raise ConfigError(f'{path} is already an export to {header["target"]}: give the checkpoint that it was made '
                          'of, as the pretraining wrote it.')
    if is_other:
        raise ConfigError(f'{path} has weights and no training: give the checkpoint as the pretraining wrote it.')
    weights = {name.removeprefix(_PREFIX): value for name, value in weights_of(held).items()
               if name.startswith(_PREFIX) and isinstance(value, torch.Tensor)}
    if not weights:
        raise ConfigError(f'{checkpoint} has no backbone (none of its weights has a name that begins with {_PREFIX}): '
                          'give the checkpoint as the pretraining wrote it.')
    return weights, held.get('meta')


def check_place(out: str, form: Format, force: bool) -> None:
    """Check that nothing is in the way of an export but an earlier one, and that only with ``force``."""
    if not form.is_folder and not out.endswith(form.endings):
        raise ConfigError(f'--out {out}: the libraries tell the kind of a file by its name, so let it end in '
                          f'{form.endings[0]}.')
    if not osp.lexists(out) or (form.is_folder and osp.isdir(out) and not os.listdir(out)):
        return
    if not force:
        raise ConfigError(f'{out} is there already: give another name, or --force to replace it.')
    with suppress(UserError):  # of a file that is none of this package
        if read_header(out) is not None:
            return
    raise ConfigError(f'{out} is not an export of this command, so that --force does not replace it: give another '
                      'name.')


def place_folder(out: str, files: Mapping[str, bytes]) -> None:
    """Write a folder, which takes its name only when it is complete; what is there is replaced."""
    target = osp.realpath(out)
    own = osp.join(osp.dirname(target), f'.{osp.basename(target)}.{secrets.token_hex(4)}.unfinished')
    new, before = osp.join(own, 'new'), osp.join(own, 'before')
    try:
        for name, content in files.items():
            write_atomically(osp.join(new, name), content)
        with suppress(FileNotFoundError):
            os.rename(target, before)
        os.rename(new, target)
    finally:
        if osp.exists(before) and not osp.exists(target):
            os.rename(before, target)
        shutil.rmtree(own, ignore_errors=True)
