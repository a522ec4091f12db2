"""Hook that plans a training before its first epoch."""

from typing import Optional

from mmengine import dist
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from clim_mm.checks import check_number, check_whole
from clim_mm.distributed import unwrapped
from clim_mm.preflight.checks import LINEAR, PRETRAINING, LrRule, rule_for
from clim_mm.preflight.plan import NUM_IMAGES, SECONDS, Plan, survey
from clim_mm.protocols import KeepsQueues
from clim_mm.registry import HOOKS

from .pretrained_backbone_hook import PretrainedBackboneHook
from .runner_parts import refresher_of

_OF_MOCO = ('', 'MoCo', 'OpenSelfSup')  # whose names the checkpoints have; the first are this framework's


@HOOKS.register_module()
class PreflightHook(Hook):
    """Logs a plan of the training and what looks wrong in it; it changes and stops nothing.

    Args:
        num_images: Images to open.
        seconds: For all measurements, about; 0 for no preflight.
        lr_of_512: Learning rate of SGD for 512 images in an optimizer step, with which the config's is compared, 0.06
            [paper]; None for no comparison. Linear classifiers on a frozen backbone of CLIM or MoCo are compared with
            theirs, and other trainings with nothing.
        processes, work_dir: Of the training that is planned. None takes the Runner's.
    """

    priority = 'LOW'  # after the hooks that choose sizes

    def __init__(self,
                 num_images: int = NUM_IMAGES,
                 seconds: float = SECONDS,
                 lr_of_512: Optional[float] = PRETRAINING.lr,
                 processes: Optional[int] = None,
                 work_dir: Optional[str] = None) -> None:
        check_whole('num_images of PreflightHook', num_images, least=1)
        check_number('seconds of PreflightHook', seconds, least=0)
        check_number('lr_of_512 of PreflightHook', lr_of_512, above=0, optional=True)
        check_whole('processes of PreflightHook', processes, least=1, optional=True)
        self.num_images = num_images
        self.seconds = seconds
        self.lr_of_512 = lr_of_512
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
            num_images=self.num_images, seconds=self.seconds,
            lr_rule=rule_for(_rule_of_kind(runner), self.lr_of_512))
        if dist.is_main_process():
            runner.logger.info(self.plan.table())
            (runner.logger.warning if self.plan.findings else runner.logger.info)(self.plan.verdict())


def _rule_of_kind(runner: Runner) -> Optional[LrRule]:
    """The rule of the learning rate for this kind of training, if it has one."""
    if len({group.get('initial_lr', group['lr']) for group in runner.optim_wrapper.param_groups}) > 1:
        return None  # by paramwise_cfg: rules are of one rate for all weights
    if isinstance(unwrapped(runner), KeepsQueues):
        return PRETRAINING
    starts = [hook for hook in runner.hooks if isinstance(hook, PretrainedBackboneHook)]
    return LINEAR if any(hook.frozen and hook.owner in _OF_MOCO for hook in starts) else None
