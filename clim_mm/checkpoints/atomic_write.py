"""Files, and lines of records, that are there as a whole or not at all, whenever the process is killed."""

import errno
import hashlib
import json
import logging
import math
import os
import os.path as osp
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Union

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import MessageHub, print_log
from mmengine.visualization import LocalVisBackend as PlainVisBackend

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError, StorageError
from clim_mm.registry import VISBACKENDS
from clim_mm.storage import patiently, try_lock

RUN_ID = 'run_id'  # a field of records, and of MMEngine's message hub


def write_atomically(path: Union[str, os.PathLike], data: bytes) -> None:
    """Write a file, which takes the place of one before it only when it is complete and on the disk.

    Its folder is made if it is not there; a link stays a link.
    """
    target = osp.realpath(path)
    try:
        patiently(partial(os.makedirs, osp.dirname(target), exist_ok=True), target)
        patiently(partial(_replace, target, data), target)
    except StorageError:
        raise
    except OSError as error:
        raise CheckpointError(f'Cannot write {os.fspath(path)} ({error.strerror}){remedy(error, target)}; what was '
                              'written before is untouched.') from error


def write_json(path: Union[str, os.PathLike], content: Mapping[str, Any]) -> None:
    """Write a dictionary by ``write_atomically``, indented for people."""
    write_atomically(path, (json.dumps(content, indent=2) + '\n').encode())


@register_backend('clim_mm.atomic')
class AtomicBackend(LocalBackend):
    """MMEngine's local disk, written to by ``write_atomically``; ``CheckpointHook`` takes it as ``backend_args``."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes to a file."""
        write_atomically(filepath, obj)


def remedy(error: OSError, path: str) -> str:
    """What helps where a file of a run cannot be written, to be put behind the words of the error."""
    if osp.lexists(path) and not osp.isfile(path):
        return ': move what is there away'
    return remedy_for(error) or ': choose another place (--work-dir, --out)'


def remove_abandoned(folder: str, name: str = r'.+') -> None:
    """Remove what killed writers of a folder's files have left behind, of files whose ``name`` matches."""
    pattern = re.compile(rf'\.({name})\.([0-9a-f]{{8}}\.)?unfinished')
    with suppress(OSError):
        for left in filter(pattern.fullmatch, os.listdir(folder)):
            # A living writer holds a lock; an empty file may be that of one that is about to take it.
            with suppress(OSError), open(osp.join(folder, left), 'r+b') as file:
                if os.fstat(file.fileno()).st_size and try_lock(file.fileno()):
                    os.remove(file.name)


def file_sha256(path: Union[str, os.PathLike]) -> str:
    """SHA-256 of a file, as ``sha256sum`` prints it."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def run_id() -> dict[str, Any]:
    """The id of this process's training as a field of a record; nothing if it has none."""
    known = MessageHub.get_current_instance().get_info(RUN_ID)
    return {} if known is None else {RUN_ID: known}


def append_json_line(path: str, record: dict[str, Any]) -> None:
    """Append a record of strings, numbers and arrays, after the training's ``run_id`` if it has one.

    NaN and infinity become null. A record that cannot be written is left out as a whole, with a warning: no training
    ends for it. Half a record, which a killed process has left, makes room for the next.
    """
    line = json.dumps({name: _known(value) for name, value in {**run_id(), **record}.items()}, allow_nan=False) + '\n'
    try:
        _append(path, line.encode())
    except OSError as error:
        print_log(f'A record is missing in {path} ({error.strerror}): the training goes on without.', logger='current',
                  level=logging.WARNING)


@VISBACKENDS.register_module()
class LocalVisBackend(PlainVisBackend):
    """``mmengine.LocalVisBackend`` whose scalars no full disk cuts in two: see :func:`append_json_line`."""

    def _dump(self, value_dict: dict, file_path: str, file_format: str) -> None:
        append_json_line(file_path, value_dict)


def _replace(path: str, data: bytes) -> None:
    folder, name = osp.split(path)
    remove_abandoned(folder, re.escape(name))
    unfinished = osp.join(folder, f'.{name}.{secrets.token_hex(4)}.unfinished')  # there may be several writers
    try:
        with open(unfinished, 'xb') as file:
            try_lock(file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.remove(unfinished)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some file systems cannot
        os.fsync(descriptor)  # the name
    os.close(descriptor)


def _known(value: Any) -> Any:
    value = value.tolist() if hasattr(value, 'tolist') else value  # torch's and numpy's
    if isinstance(value, (list, tuple)):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _append(path: str, line: bytes) -> None:
    with open(path, 'a+b', buffering=0) as file:  # a single write call: a process that dies leaves no half line
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        if file.read(1) not in (b'\n', b''):
            file.seek(0)
            end = file.truncate(file.read().rfind(b'\n') + 1)
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(end)
            raise
