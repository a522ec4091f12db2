"""MMEngine loads every checkpoint through these: from files, from the web, from its tables of models.

``CheckpointLoader``'s own loaders unpickle whatever a file brings, some of them at once and some when the allow-list
does not suffice. (``TORCH_FORCE_WEIGHTS_ONLY_LOAD=1`` overrules even an explicit ``weights_only=False``. It is not set
here, because it would overrule the user's own ``torch.load`` too, and would leave ``getattr`` in MMEngine's list.)
"""

import os
from typing import Any
from urllib.parse import urlparse

from mmengine.dist import barrier, is_main_process
from mmengine.runner import (
    CheckpointLoader,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from clim_mm.errors import CheckpointError, DamagedCheckpoint

from .download import copy_of, forget_copy
from .reading import read_checkpoint
from .transfer import SCHEME, read_backbone


# MMEngine logs what follows `load_from_` in their names, and calls them with a place and a `map_location`.
def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Load a file, without the config in it, which MMEngine would run as code on resume."""
    checkpoint = read_checkpoint(filename, map_location)
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint


def load_from_http(filename: str, map_location: Any = None) -> dict:
    """Load a file of the web, of which torch's hub folder keeps a copy.

    Raises:
        CheckpointError: If it cannot be downloaded, or as for ``read_checkpoint``.
    """
    first_here = os.environ.get('LOCAL_RANK', '0') == '0'  # one process of each machine downloads
    if first_here:
        copy_of(filename, show=is_main_process())
    barrier()
    try:
        return load_from_local(copy_of(filename, show=False), map_location)
    except DamagedCheckpoint as error:
        if first_here:
            forget_copy(filename)
        raise DamagedCheckpoint(f'What {filename} gives is cut off or damaged, or no checkpoint: try again, or fetch '
                                'it otherwise and give its path.') from error


def load_from_torchvision(filename: str, map_location: Any = None) -> dict:
    """Load one of torchvision's models by its name."""
    return load_from_http(_address(filename, get_torchvision_models()), map_location)


def load_from_openmmlab(filename: str, map_location: Any = None) -> dict:
    """Load one of OpenMMLab's models by its name, or one of the user's own table."""
    _, _, name = filename.partition('://')
    name = get_deprecated_model_names().get(name, name)
    address = _address(f'open-mmlab://{name}', get_external_models())
    if urlparse(address).scheme in ('http', 'https'):
        return load_from_http(address, map_location)
    return load_from_local(address, map_location)


def load_from_mmcls(filename: str, map_location: Any = None) -> dict:
    """Load the backbone of one of MMClassification's models by its name."""
    checkpoint = load_from_http(_address(filename, get_mmcls_models()), map_location)
    state = checkpoint.get('state_dict', checkpoint)
    prefix = 'backbone.'
    return dict(state_dict={name[len(prefix):]: value for name, value in state.items() if name.startswith(prefix)})


def load_from_backbone(filename: str, map_location: Any = None) -> dict:
    """Load the backbone alone of whatever else can be loaded, by the names that it has here."""
    return dict(state_dict=read_backbone(filename.removeprefix(SCHEME)).backbone)


def load_from_elsewhere(filename: str, map_location: Any = None) -> dict:
    """Refuse the storages whose clients are not public.

    Raises:
        CheckpointError: Always.
    """
    raise CheckpointError(f'Checkpoints are loaded from files and over http only: copy {filename} to this machine and '
                          'give its path.')


def register_loaders() -> None:
    """Put the loaders of this file in the place of MMEngine's own."""
    for prefixes, loader in [
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
        (('torchvision://', 'modelzoo://'), load_from_torchvision),
        (('open-mmlab://', 'openmmlab://'), load_from_openmmlab),
        ('mmcls://', load_from_mmcls),
        (SCHEME, load_from_backbone),
        ((r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'pavi://'), load_from_elsewhere),
    ]:
        CheckpointLoader.register_scheme(prefixes, loader, force=True)


def _address(filename: str, table: dict) -> str:
    """Where a table has the model of ``SCHEME://NAME``."""
    _, _, name = filename.partition('://')
    if name not in table:
        raise CheckpointError(f'MMEngine knows no model {name} for {filename}: give a name that it knows, or the path '
                              'or address of a file.')
    return table[name]
