"""Hooks: when things happen in a training. What happens is done by functions of other packages."""

from clim_mm.runtime import HistoryHook, LoaderWatchHook, LocalVisBackend, ResumeGuardHook
from clim_mm.runtime.bf16_optim_wrapper import Bf16OptimWrapper

from .center_wise_neighbor_hook import CenterWiseNeighborHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .epoch_randomness_hook import EpochRandomnessHook
from .knn_hook import KNNHook
from .manifest_hook import ManifestHook
from .neighbor_page_hook import NeighborPageHook
from .preflight_hook import PreflightHook
from .pretrained_backbone_hook import PretrainedBackboneHook
from .quarantine_hook import QuarantineHook
from .queue_hook import QueueHook
from .watchdog_hook import WatchdogHook

__all__ = [
    'Bf16OptimWrapper', 'CenterWiseNeighborHook', 'CheckpointGuardHook', 'EpochRandomnessHook', 'HistoryHook',
    'KNNHook', 'LoaderWatchHook', 'LocalVisBackend', 'ManifestHook', 'NeighborPageHook', 'PreflightHook',
    'PretrainedBackboneHook', 'QuarantineHook', 'QueueHook', 'ResumeGuardHook', 'WatchdogHook'
]
