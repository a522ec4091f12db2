"""What the detection configs use, registered where MMDetection finds it."""

from mmengine.registry import VISBACKENDS

from clim_mm.runtime import LocalVisBackend

from .figures_hook import FiguresHook
from .lvis_numpy import let_lvis_run
from .normed_res_layer import NormedResLayer
from .preflight_hook import TransferPreflightHook
from .train_on_difficult import TrainOnDifficult

let_lvis_run()
# Scope clim_mm would import MMSelfSup; MMEngine's own backend has the name that this one has there.
VISBACKENDS.register_module(name='WholeLinesVisBackend', module=LocalVisBackend)

__all__ = ['FiguresHook', 'NormedResLayer', 'TrainOnDifficult', 'TransferPreflightHook']
