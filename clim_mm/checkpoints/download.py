"""Copies of the web's checkpoints: each belongs to one address, and is whole."""

import errno
import hashlib
import os
import os.path as osp
import re
import tempfile
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

from torch.hub import get_dir

from clim_mm.errors import CheckpointError, StorageError, on_one_line
from clim_mm.progress import progress_bar
from clim_mm.storage import patiently

from .weights_hash import file_sha256

_HASH = re.compile(r'-([0-9a-f]{8,64})\.\w+$')  # of the content, at the end of a name, as torch's hub has it
_SILENCE = 60  # seconds without a byte [ours]
_PAUSES = (1.0, 2.0)  # seconds, between the tries [ours]
_BLOCK = 1 << 20  # bytes
_LONGEST_NAME = 120  # characters
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


def copy_of(url: str, show: bool = True) -> str:
    """The path of a file of the web on this machine; it is downloaded if it is not there.

    Args:
        url: Its address; another address has another copy, even if the file is called the same.
        show: Whether to show a bar with the time left.

    Raises:
        CheckpointError: If it cannot be downloaded as a whole. Nothing of it is kept then.
    """
    path = _place_of(url)
    folder, name = osp.split(path)
    of_hub = osp.join(osp.dirname(folder), name)
    if (found := _HASH.search(name)) and osp.isfile(of_hub) and file_sha256(of_hub).startswith(found[1]):
        return of_hub  # torch's own, which the name vouches for
    if not osp.exists(path):
        _download(url, path, show)
    return path


def forget_copy(url: str) -> None:
    """Remove a copy that is of no use, so that the next attempt downloads it."""
    with suppress(OSError):
        os.remove(_place_of(url))


def _place_of(url: str) -> str:
    last = re.split('[?#]', url)[0].rpartition('/')[2]
    name = re.sub(r'[^\w.-]', '_', last).lstrip('.')[-_LONGEST_NAME:] or 'checkpoint.pth'
    return osp.join(get_dir(), 'checkpoints', hashlib.sha256(url.encode()).hexdigest()[:16], name)


def _download(url: str, path: str, show: bool) -> None:
    try:
        os.makedirs(osp.dirname(path), exist_ok=True)
        patiently(partial(_try, url, path, show), url, _PAUSES)
    except (OSError, HTTPException, ValueError) as error:
        cause: Any = error.__cause__ if isinstance(error, StorageError) else error
        if getattr(cause, 'errno', None) in _OF_THE_DISK:
            raise CheckpointError(f'Cannot keep a copy of {url} in {osp.dirname(path)} ({cause.strerror}): make room, '
                                  'or set TORCH_HOME to another folder.') from error
        raise CheckpointError(f'Cannot download {url} ({on_one_line(cause)}): try again, or fetch it otherwise and '
                              'give its path.') from error


def _try(url: str, path: str, show: bool) -> None:
    """Download once; the file takes its name when it is complete."""
    digest = hashlib.sha256()
    file = tempfile.NamedTemporaryFile(dir=osp.dirname(path), prefix='.', suffix='.unfinished', delete=False)
    try:
        with file, urlopen(Request(url, headers={'User-Agent': 'clim_mm'}), timeout=_SILENCE) as answer:
            announced = int(answer.headers.get('Content-Length') or -1)
            with progress_bar(total=max(announced, 0) or None, desc='download', unit='B', unit_scale=True,
                              show=show) as bar:
                while block := answer.read(_BLOCK):
                    file.write(block)
                    digest.update(block)
                    bar.update(len(block))
            if announced >= 0 and file.tell() != announced:
                raise ConnectionError(f'it ended after {file.tell():,} of {announced:,} bytes')
            file.flush()
            os.fsync(file.fileno())
        _check_name(path, digest.hexdigest())
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except BaseException:
        with suppress(OSError):
            os.remove(file.name)
        raise


def _check_name(path: str, digest: str) -> None:
    """Check a content against the hash in its name; digits alone are rather a date."""
    found = _HASH.search(path)
    if found and not found[1].isdigit() and not digest.startswith(found[1]):
        raise ValueError(f'its SHA-256 begins with {digest[:len(found[1])]}, not with {found[1]} as its name says')
