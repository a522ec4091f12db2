"""MMEngine loads every checkpoint through these: from files, from the web, from its tables of models.

``CheckpointLoader``'s own loaders unpickle whatever a file brings, some of them at once and some when the allow-list
does not suffice. (``TORCH_FORCE_WEIGHTS_ONLY_LOAD=1`` overrules even an explicit ``weights_only=False``. It is not set
here, because it would overrule the user's own ``torch.load`` too, and would leave ``getattr`` in MMEngine's list.)
"""

import hashlib
import os
import os.path as osp
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPException
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.runner import (
    CheckpointLoader,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)
from torch.hub import download_url_to_file, get_dir

from clim_mm.errors import CheckpointError, DamagedCheckpoint, StorageError, on_one_line
from clim_mm.storage import patiently

from .atomic_write import file_sha256
from .backbone import SCHEME, read_backbone
from .reading import read_checkpoint

_HASH = re.compile(r'-([0-9a-f]{8,64})\.\w+$')  # of the content, at the end of a name, as torch's hub has it
_SILENCE = 60  # seconds without a byte [ours]
_PAUSES = (1.0, 2.0)  # seconds, between the tries [ours]
_LONGEST_NAME = 120  # characters


# MMEngine logs what follows `load_from_` in their names, and calls them with a place and a `map_location`.
def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Load a file, without the config in it, which MMEngine would run as code on resume."""
    checkpoint = read_checkpoint(filename, map_location)
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint


def load_from_http(filename: str, map_location: Any = None) -> dict:
    """Load a file of the web, of which torch's hub folder keeps a copy."""
    first_here = os.environ.get('LOCAL_RANK', '0') == '0'  # one process of each machine downloads
    if first_here:
        download(filename, show=is_main_process())
    barrier()
    path = download(filename, show=False)
    try:
        return load_from_local(path, map_location)
    except DamagedCheckpoint as error:
        if first_here:
            with suppress(OSError):
                os.remove(path)
        raise DamagedCheckpoint(f'What {filename} gives is cut off or damaged, or no checkpoint: try again, or fetch '
                                'it otherwise and give its path.') from error


def load_from_table(filename: str, map_location: Any = None) -> dict:
    """Load a model by its name in a table of MMEngine's; of MMClassification's models it is the backbone."""
    scheme, _, name = filename.partition('://')
    if scheme in ('torchvision', 'modelzoo'):
        table = get_torchvision_models()
    elif scheme == 'mmcls':
        table = get_mmcls_models()
    else:
        table, name = get_external_models(), get_deprecated_model_names().get(name, name)
    if name not in table:
        raise CheckpointError(f'MMEngine knows no model {name} for {filename}: give a name that it knows, or the path '
                              'or address of a file.')
    load = load_from_http if table[name].startswith(('http://', 'https://')) else load_from_local
    checkpoint = load(table[name], map_location)
    if scheme != 'mmcls':
        return checkpoint
    state = checkpoint.get('state_dict', checkpoint)
    return dict(state_dict={name.removeprefix('backbone.'): value for name, value in state.items()
                            if name.startswith('backbone.')})


def load_from_backbone(filename: str, map_location: Any = None) -> dict:
    """Load the backbone alone of whatever else can be loaded, by the names that it has here."""
    return dict(state_dict=read_backbone(filename.removeprefix(SCHEME)).backbone)


def load_from_elsewhere(filename: str, map_location: Any = None) -> dict:
    """Refuse the storages whose clients are not public."""
    raise CheckpointError(f'Checkpoints are loaded from files and over http only: copy {filename} to this machine and '
                          'give its path.')


def register_loaders() -> None:
    """Put the loaders of this file in the place of MMEngine's own."""
    for prefixes, loader in [
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
        (('torchvision://', 'modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://'), load_from_table),
        (SCHEME, load_from_backbone),
        ((r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'pavi://'), load_from_elsewhere),
    ]:
        CheckpointLoader.register_scheme(prefixes, loader, force=True)


def download(url: str, show: bool = True) -> str:
    """The path of a file of the web on this machine, to which it is downloaded if it is not there.

    Another address has another copy, even if the file is called the same.
    """
    name = re.sub(r'[^\w.-]', '_', re.split('[?#]', url)[0].rpartition('/')[2])
    name = name.lstrip('.')[-_LONGEST_NAME:] or 'checkpoint.pth'
    hub, found = osp.join(get_dir(), 'checkpoints'), _HASH.search(name)
    if found and osp.isfile(osp.join(hub, name)) and file_sha256(osp.join(hub, name)).startswith(found[1]):
        return osp.join(hub, name)  # torch's own, which the name vouches for
    path = osp.join(hub, hashlib.sha256(url.encode()).hexdigest()[:16], name)
    if osp.exists(path):
        return path
    try:
        os.makedirs(osp.dirname(path), exist_ok=True)
    except OSError as error:
        raise CheckpointError(f'Cannot keep a copy of {url} in {osp.dirname(path)} ({error.strerror}): set TORCH_HOME '
                              'to another folder.') from error
    digest = found[1] if found and not found[1].isdigit() else None  # digits alone are rather a date
    try:
        with _silence_ends(_SILENCE):
            patiently(partial(download_url_to_file, url, path, digest, progress=show), url, _PAUSES)
    except (OSError, HTTPException, ValueError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, StorageError) and error.__cause__ else error
        raise CheckpointError(f'Cannot download {url} ({on_one_line(cause)}): try again, or fetch it otherwise and '
                              'give its path.') from error
    return path


@contextmanager
def _silence_ends(seconds: float) -> Iterator[None]:
    """While this lasts, connections that give no byte for so long end in an error."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
