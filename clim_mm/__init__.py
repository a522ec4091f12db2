"""CLIM (Center-wise Local Image Mixture) for MMSelfSup.

Importing the package opens MMSelfSup's version gate, without importing it, makes MMEngine know the package, so that a
config can inherit from ``clim_mm::clim/...``, and lets MMEngine load checkpoints as data only. Naming the scope
``clim_mm`` in a config registers the rest.
"""

from .startup import collector_stopped, watch_imports
from .version import __version__

watch_imports()
with collector_stopped():
    from .host_gate import open_gate

    open_gate()  # before anything imports MMEngine's optimizers

    from mmengine.config.utils import MODULE2PACKAGE

    from .checkpoints import register_loaders

register_loaders()
# MMEngine resolves `_base_ = 'clim_mm::...'` only for the packages in this table. It finds an editable installation by
# the module's name alone; 'clim-mm' is no module.
MODULE2PACKAGE['clim_mm'] = 'clim_mm'

__all__ = ['__version__']
