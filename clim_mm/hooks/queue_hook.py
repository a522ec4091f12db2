"""Hook that fits the queues to the training set, and lets keys enter once per optimizer step."""

from typing import Optional

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError
from clim_mm.neighbors.defaults import default_queue_len, is_small
from clim_mm.preflight.settings import batches_per_step
from clim_mm.protocols import HasQueues
from clim_mm.registry import HOOKS

from .runner_parts import check_epochs, model_with, resumed


@HOOKS.register_module()
class QueueHook(Hook):
    """Fits the queues of a model to the training set, and lets keys enter once per optimizer step.

    With ``accumulative_counts`` batches to an optimizer step, the momentum encoder moves with the first of them, and
    the keys of all enter the queue after the last. What an epoch leaves over is a smaller step at its end, so that no
    gradient is lost between two epochs, where checkpoints are written.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Choose what the config leaves open, and print it."""
        check_epochs(runner, 'QueueHook')
        model, num_images = model_with(runner, HasQueues, 'QueueHook'), len(runner.train_dataloader.dataset)
        model.advance_after_loss = False
        wrapper, batch_size = runner.optim_wrapper, runner.train_dataloader.batch_sampler.batch_size
        wrapper.initialize_count_status(runner.model, 0, -1)  # an open end: all steps are whole
        keys_per_step = batch_size * dist.get_world_size() * batches_per_step(wrapper) * model.keys_per_sample
        generator = torch.Generator().manual_seed(runner.seed)
        for queue in model.queues.values():
            if not resumed(runner):
                queue.forget_ids()
            derived = len(queue) == 0
            if derived:
                queue.resize(default_queue_len(num_images, keys_per_step), generator)
            if keys_per_step > len(queue):
                raise ConfigError(f'model.queue_len={len(queue)} is too short for the {keys_per_step} keys of one '
                                  f'optimizer step: set it to at least {keys_per_step}, or lower the batch size.')
        if model.mask_own_keys is None:
            model.mask_own_keys = is_small(num_images)
        runner.logger.info(
            f'Queue of {len(queue)} keys{" (from the number of images)" if derived else ""}, {keys_per_step} new '
            f'ones each step; own keys from earlier epochs {"are left out" if model.mask_own_keys else "count"}.')

    def before_train_epoch(self, runner: Runner) -> None:
        """Count the batches of an optimizer step from the epoch's first."""
        runner.optim_wrapper.initialize_count_status(runner.model, 0, len(runner.train_dataloader))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Let the keys enter the queue after an optimizer step."""
        if runner.optim_wrapper.should_update():
            unwrapped(runner).advance()
