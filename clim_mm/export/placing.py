"""Where an export goes: that nothing is in its way, and that it is there as a whole or not at all."""

import os
import os.path as osp
import shutil
from collections.abc import Mapping

from clim_mm.causes import remedy_for
from clim_mm.checkpoints import write_atomically
from clim_mm.errors import CheckpointError, ConfigError, UserError

from .header import read_header

ENDINGS = ('.pth', '.pt')  # of a file of torch.save


def check_place(out: str, is_folder: bool, force: bool, endings: tuple[str, ...] = ENDINGS) -> None:
    """Check that an export can go there.

    Args:
        out: The file, or the folder.
        is_folder: Which of the two it will be.
        force: Whether an export that is there may be replaced.
        endings: That a file's name may have.

    Raises:
        ConfigError: If something is there and may not be replaced, or the name does not fit.
    """
    if not is_folder and not out.endswith(endings):
        raise ConfigError(f'--out {out}: the libraries tell the kind of a file by its name, so let it end in '
                          f'{endings[0]}.')
    if not osp.lexists(out):
        return
    if osp.isdir(out) != is_folder:
        raise ConfigError(f'--out {out} is a {"folder" if osp.isdir(out) else "file"}: give the name of a '
                          f'{"folder" if is_folder else "file"}.')
    if is_folder and not os.listdir(out):
        return
    if not force:
        raise ConfigError(f'{out} is there already: give another name, or --force to replace it.')
    if not _is_export(out):
        raise ConfigError(f'{out} is not an export of this command, so that --force does not replace it: give another '
                          'name.')


def place_folder(out: str, files: Mapping[str, bytes]) -> None:
    """Write a folder, which takes its name only when it is complete. One that is there is replaced.

    Args:
        out: The folder.
        files: Contents by name.

    Raises:
        CheckpointError: If it cannot be written.
    """
    folder, name = osp.split(osp.realpath(out))
    unfinished, before = (osp.join(folder, f'.{name}.{state}') for state in ('unfinished', 'before'))
    try:
        for left in (unfinished, before):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        for file_name, content in files.items():
            write_atomically(osp.join(unfinished, file_name), content)
        if osp.isdir(out):
            os.rename(osp.realpath(out), before)
        os.rename(unfinished, osp.join(folder, name))
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if osp.isdir(before) and not osp.exists(out):
            os.rename(before, osp.realpath(out))
        if isinstance(error, UserError):
            raise
        raise CheckpointError(f'Cannot write {out} ({error.strerror}){remedy_for(error)}.') from error
    shutil.rmtree(before, ignore_errors=True)


def _is_export(path: str) -> bool:
    try:
        return read_header(path) is not None
    except UserError:
        return False
