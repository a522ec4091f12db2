"""Where an export goes: that nothing is in its way, and that it is there as a whole or not at all."""

import errno
import os
import os.path as osp
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from glob import escape as glob_escape
from glob import glob

from clim_mm.causes import remedy_for
from clim_mm.checkpoints import write_atomically
from clim_mm.errors import CheckpointError, ConfigError, UserError
from clim_mm.storage import try_lock

from .header import read_header

ENDINGS = ('.pth', '.pt')  # of a file of torch.save
_LOCK = 'lock'  # which a process holds on its unfinished folder


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

    Of several processes that write the same folder at a time, the last one's stays.

    Args:
        out: The folder.
        files: Contents by name.

    Raises:
        CheckpointError: If it cannot be written.
    """
    target = osp.realpath(out)
    folder, name = osp.split(target)
    own = osp.join(folder, f'.{name}.{secrets.token_hex(4)}.unfinished')
    new, before = osp.join(own, 'new'), osp.join(own, 'before')
    try:
        os.makedirs(own)
        with open(osp.join(own, _LOCK), 'xb') as lock:
            try_lock(lock.fileno())
            _remove_abandoned(folder, name)
            for file_name, content in files.items():
                write_atomically(osp.join(new, file_name), content)
            while not _took_name(new, target):  # another process may put its own there meanwhile
                shutil.rmtree(before, ignore_errors=True)
                with suppress(FileNotFoundError):
                    os.rename(target, before)
    except OSError as error:
        if isinstance(error, UserError):
            raise
        raise CheckpointError(f'Cannot write {out} ({error.strerror}){remedy_for(error)}.') from error
    finally:
        if osp.isdir(before) and not osp.exists(target):
            os.rename(before, target)
        shutil.rmtree(own, ignore_errors=True)


def _took_name(path: str, target: str) -> bool:
    """Rename a folder; False if there is one of that name."""
    try:
        os.rename(path, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _remove_abandoned(folder: str, name: str) -> None:
    """Remove what processes have left behind that were killed: a living one holds its lock."""
    for lock in glob(osp.join(glob_escape(folder), f'.{glob_escape(name)}.*.unfinished', _LOCK)):
        with suppress(OSError), open(lock, 'r+b') as file:
            if try_lock(file.fileno()):
                shutil.rmtree(osp.dirname(lock), ignore_errors=True)


def _is_export(path: str) -> bool:
    try:
        return read_header(path) is not None
    except UserError:
        return False
