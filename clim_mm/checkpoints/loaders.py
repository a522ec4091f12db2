"""What MMEngine loads every checkpoint through, instead of its own loaders, which unpickle whatever a file brings."""

import hashlib
import os
import os.path as osp
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

from mmengine.dist import barrier
from mmengine.runner import CheckpointLoader, get_external_models, get_torchvision_models
from torch.hub import get_dir

from clim_mm.errors import CheckpointError, DamagedCheckpoint, on_one_line
from clim_mm.storage import patiently

from .atomic_write import write_atomically
from .backbone import SCHEME, read_backbone
from .reading import read_checkpoint

_SILENCE = 60  # seconds without a byte [ours]
_PAUSES = (1.0, 2.0)  # seconds, between the tries [ours]


# MMEngine logs what follows `load_from_` in their names, and calls them with a place and a `map_location`.
def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Load a file, without the config in it, which MMEngine would run as code on resume."""
    checkpoint = read_checkpoint(filename, map_location)
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint


def load_from_http(filename: str, map_location: Any = None) -> dict:
    """Load a file of the web, of which torch's hub folder keeps a copy under its whole address."""
    path = osp.join(get_dir(), 'checkpoints', f'{hashlib.sha256(filename.encode()).hexdigest()}.pth')
    is_first = os.environ.get('LOCAL_RANK', '0') == '0'  # one process of each machine downloads
    if is_first and not osp.exists(path):
        write_atomically(path, _downloaded(filename))
    barrier()
    try:
        return load_from_local(path, map_location)
    except DamagedCheckpoint as error:
        if is_first:
            with suppress(OSError):
                os.remove(path)
        raise DamagedCheckpoint(f'What {filename} gives is no whole checkpoint: try again, or fetch it otherwise and '
                                'give its path.') from error


def load_from_table(filename: str, map_location: Any = None) -> dict:
    """Load a model by its name in a table of MMEngine's."""
    scheme, _, name = filename.partition('://')
    table = get_torchvision_models() if scheme == 'torchvision' else get_external_models()
    if name not in table:
        raise CheckpointError(f'MMEngine knows no model {name} for {filename}: give a name that it knows, or the path '
                              'or address of a file.')
    return CheckpointLoader.load_checkpoint(table[name], map_location)


def load_from_backbone(filename: str, map_location: Any = None) -> dict:
    """Load the backbone alone of whatever else can be loaded, by the names that it has here."""
    return dict(state_dict=read_backbone(filename.removeprefix(SCHEME)).backbone)


def load_from_elsewhere(filename: str, map_location: Any = None) -> dict:
    """Refuse what MMEngine would unpickle: storages whose clients are not public, and outdated tables."""
    raise CheckpointError(f'Checkpoints are loaded from files, over http, and by torchvision:// and open-mmlab://: '
                          f'copy {filename} to this machine and give its path.')


def register_loaders() -> None:
    """Put the loaders of this file in the place of MMEngine's own."""
    for prefixes, loader in [
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
        (('torchvision://', 'open-mmlab://', 'openmmlab://'), load_from_table),
        (SCHEME, load_from_backbone),
        ((r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'pavi://', 'modelzoo://', 'mmcls://'), load_from_elsewhere),
    ]:
        CheckpointLoader.register_scheme(prefixes, loader, force=True)


def _downloaded(url: str) -> bytes:
    def ask() -> bytes:
        with urlopen(Request(url, headers={'User-Agent': 'torch.hub'}), timeout=_SILENCE) as answer:
            return answer.read()

    try:
        return patiently(ask, url, _PAUSES)
    except (OSError, HTTPException, ValueError) as error:
        raise CheckpointError(f'Cannot download {url} ({on_one_line(error.__cause__ or error)}): try again, or fetch '
                              'it otherwise and give its path.') from error
