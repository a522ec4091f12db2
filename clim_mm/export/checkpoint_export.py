"""From a checkpoint of a pretraining to a file of another library."""

import os
import os.path as osp
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clim_mm.checkpoints import write_atomically
from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.checkpoints.weights import weights_sha256
from clim_mm.checks import check_choice
from clim_mm.errors import ConfigError
from clim_mm.version import __version__

from .formats import FORMATS, program_file, read_header
from .parity import MOST, check_parity, library_of
from .pretraining import check_plain, read_pretraining


@dataclass(frozen=True)
class Exported:
    """What was exported: the file's header, and the largest difference of features on random images."""

    header: dict[str, Any]
    num_tensors: int
    difference: float


def export(checkpoint: str, target: str, out: str, force: bool = False) -> Exported:
    """Write the backbone of a checkpoint as another library reads it, if that library computes the same with it.

    Args:
        checkpoint: A file as a pretraining has written it; it is read as data only.
        target: One of ``FORMATS``.
        out: The file to write; for Hugging Face a folder.
        force: Replace an export that is there.
    """
    check_choice('--to', target, FORMATS)
    form = FORMATS[target]
    check_place(out, form.endings, force)
    original, pretraining = read_pretraining(checkpoint)
    if form.plain:
        check_plain(original, checkpoint)
    depth: Any = getattr(original, 'depth', '')
    library = library_of(target)
    tensors = form.tensors(original.state_dict())
    header = dict(
        target=target, architecture=f'{type(original).__name__.lower()}{depth}', clim_mm=__version__, **pretraining,
        checkpoint_sha256=file_sha256(osp.expanduser(checkpoint)), weights_sha256=weights_sha256(tensors),
        parity=dict(against=library.name, most=MOST))
    files = form.write(tensors, header) if form.write else program_file(original, header)
    difference = place(out, files, lambda path: check_parity(original, library, path, depth))
    return Exported(header, len(tensors), difference)


def check_place(out: str, endings: tuple[str, ...], force: bool) -> None:
    """Check that nothing is in the way of an export but an earlier one, and that only with ``force``."""
    if not out.endswith(endings):
        raise ConfigError(f'--out {out}: the libraries tell the kind of a file by its name, so let it end in '
                          f'{endings[0]}.')
    if not osp.lexists(out):
        return
    with suppress(Exception):  # whatever is raised of a file that is none of this package
        if force and read_header(out) is not None:
            return
    raise ConfigError(f'{out} is there already: give another name. --force replaces an earlier export, nothing else.')


def place(out: str, files: Mapping[str, bytes], check: Callable[[str], float]) -> float:
    """Write a file or a folder, which takes its name when it is complete and ``check(path)``, returned, has passed.

    Args:
        files: Contents by name; of a single file the name is ``''``.
    """
    path = osp.realpath(out)
    folder, name = osp.split(path)
    unfinished = osp.join(folder, f'.{name}.{secrets.token_hex(4)}.unfinished')
    new = osp.join(unfinished, name)
    try:
        for file, content in files.items():
            write_atomically(osp.join(new, file) if file else new, content)
        result = check(new)
        if osp.isdir(path):
            shutil.rmtree(path)
        os.replace(new, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return result
