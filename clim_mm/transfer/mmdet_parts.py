"""What the detection configs use, registered where MMDetection finds it."""

from .figures_hook import FiguresHook
from .lvis_numpy import let_lvis_run
from .normed_res_layer import NormedResLayer
from .preflight_hook import TransferPreflightHook
from .train_on_difficult import TrainOnDifficult

let_lvis_run()

__all__ = ['FiguresHook', 'NormedResLayer', 'TrainOnDifficult', 'TransferPreflightHook']
