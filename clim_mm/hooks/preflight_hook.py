"""Hook that plans a training before its first epoch."""

from typing import Optional

from mmengine import dist
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from clim_mm.checks import check_number, check_whole
from clim_mm.preflight.plan import NUM_IMAGES, SECONDS, Plan, survey
from clim_mm.registry import HOOKS

from .runner_parts import refresher_of


@HOOKS.register_module()
class PreflightHook(Hook):
    """Logs a plan of the training and what looks wrong in it, and leaves everything as it was.

    A config whose ``auto_scale_lr`` has a ``base_batch_size`` is compared with the learning rate for it: ``base_lr``
    there, or the optimizer's.

    Args:
        num_images: Samples to make.
        seconds: For all measurements, about; 0 for no preflight.
        processes: Number of processes that the planned training will have. None takes the Runner's.
        work_dir: Folder that the planned training will write to. None takes the Runner's.
    """

    priority = 'LOW'  # after the hooks that choose sizes

    def __init__(self,
                 num_images: int = NUM_IMAGES,
                 seconds: float = SECONDS,
                 processes: Optional[int] = None,
                 work_dir: Optional[str] = None) -> None:
        check_whole('num_images of PreflightHook', num_images, least=1)
        check_number('seconds of PreflightHook', seconds, least=0)
        check_whole('processes of PreflightHook', processes, least=1, optional=True)
        self.num_images = num_images
        self.seconds = seconds
        self.processes = processes
        self.work_dir = work_dir
        self.plan: Optional[Plan] = None  # complete on the first process

    def before_train(self, runner: Runner) -> None:
        """Plan, and log the plan."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop) or isinstance(runner.optim_wrapper, OptimWrapperDict):
            runner.logger.info('No preflight: it plans trainings by epochs and with one optimizer.')
            return
        if self.seconds == 0 or runner.epoch >= runner.max_epochs:
            return
        folders = [hook.out_dir for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.out_dir]
        self.plan = survey(
            runner, neighbor_hook=refresher_of(runner), processes=self.processes,
            checkpoints=str(folders[0]) if folders else self.work_dir or runner.work_dir,
            num_images=self.num_images,
            seconds=self.seconds)
        if dist.is_main_process():
            runner.logger.info(self.plan.table())
            (runner.logger.warning if self.plan.findings else runner.logger.info)(self.plan.verdict())
