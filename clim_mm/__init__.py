"""CLIM (Center-wise Local Image Mixture) for MMSelfSup.

Importing the package opens MMSelfSup's version gate, without importing it, makes MMEngine know the package, so that a
config can inherit from ``clim_mm::clim/...``, and lets MMEngine load checkpoints as data only. Naming the scope
``clim_mm`` in a config registers the rest.
"""

import gc
import os
from typing import Any

from .version import __version__

# OpenCV, which reads it when it is loaded, admits pictures of 2^30 pixels: 3 GB in every worker that meets such a file.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(2**28))  # 16,384 x 16,384 [ours]

_collects = gc.isenabled()
gc.disable()  # the collector of cycles takes a sixth of the time of these imports, and finds nothing
try:
    from .host import open_gate

    open_gate()  # before anything imports MMEngine's optimizers

    from mmengine.config.utils import MODULE2PACKAGE

    from .checkpoints import register_loaders
finally:
    if _collects:
        gc.enable()

register_loaders()
# MMEngine resolves `_base_ = 'clim_mm::...'` only for the packages in this table. It finds an editable installation by
# the module's name alone; 'clim-mm' is no module.
MODULE2PACKAGE['clim_mm'] = 'clim_mm'

__all__ = ['__version__', 'embed', 'pretrain']


def __getattr__(name: str) -> Any:
    # Imported when they are asked for: a training has no use for them.
    if name == 'embed':
        from .embedding import embed
        return embed
    if name == 'pretrain':
        from .pretraining.pretrain import pretrain
        return pretrain
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
