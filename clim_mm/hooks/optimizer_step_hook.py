"""Hook that tells a model when an optimizer step ends."""

from typing import Optional

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.distributed import unwrapped
from clim_mm.protocols import Advances, ChecksBatch
from clim_mm.registry import HOOKS

from .runner_parts import check_epochs, model_with


@HOOKS.register_module()
class OptimizerStepHook(Hook):
    """Lets a model advance once per optimizer step, and has it check the batch before the training.

    With ``accumulative_counts`` batches to an optimizer step, a momentum encoder moves with the first of them. What an
    epoch leaves over is a smaller step at its end, so that no gradient is lost between two epochs, where checkpoints
    are written.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Take over the steps from the model; a ConfigError if it cannot train on such batches."""
        name = type(self).__name__
        model = model_with(runner, Advances, name)
        check_epochs(runner, name)
        model.advance_after_loss = False
        runner.optim_wrapper.initialize_count_status(runner.model, 0, -1)  # an open end: all steps are whole
        if isinstance(model, ChecksBatch):
            model.check_batch(runner.train_dataloader.batch_sampler.batch_size * dist.get_world_size())

    def before_train_epoch(self, runner: Runner) -> None:
        """Count the batches of an optimizer step from the epoch's first."""
        runner.optim_wrapper.initialize_count_status(runner.model, 0, len(runner.train_dataloader))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Let the model advance after an optimizer step."""
        if runner.optim_wrapper.should_update():
            unwrapped(runner).advance()
