"""When the queue gets its length, and when keys enter it."""

from typing import Optional

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.errors import ConfigError
from clim_mm.neighbors.sizes import default_queue_len, is_small
from clim_mm.registry import HOOKS

from .runner_parts import clim_of


@HOOKS.register_module()
class QueueHook(Hook):
    """Fits the queue to the training set, and lets keys enter it once per optimizer step.

    With ``accumulative_counts`` batches to an optimizer step, the momentum encoder moves with the first of them, and
    the keys of all enter the queue after the last: together they are one large batch. What an epoch leaves over is
    a smaller step at its end, so that no gradient is lost between two epochs, where checkpoints are written.

    Raises:
        ConfigError: If the queue is shorter than the keys of one step, or the model is no CLIM.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Choose what the config leaves open, and print it."""
        model = clim_of(runner, 'QueueHook')
        model.advance_after_loss = False
        dataset, loader = runner.train_dataloader.dataset, runner.train_dataloader
        if len(loader) == 0:
            raise ConfigError(f'{len(dataset)} images are fewer than one batch of {loader.batch_size} on each of '
                              f'{dist.get_world_size()} process(es), and drop_last leaves it out, so that nothing '
                              'would be trained: lower train_dataloader.batch_size.')
        keys_per_step = loader.batch_size * dist.get_world_size() * self._accumulative_counts(runner)
        derived = model.queue_len == 0
        if derived:
            generator = torch.Generator().manual_seed(runner.seed)
            model.set_queue_len(default_queue_len(len(dataset), keys_per_step), generator)
        if keys_per_step > model.queue_len:
            raise ConfigError(f'model.queue_len={model.queue_len} is too short for the {keys_per_step} keys of one '
                              f'optimizer step: set it to at least {keys_per_step}, or lower the batch size.')
        if model.mask_own_keys is None:
            model.mask_own_keys = is_small(len(dataset))
        runner.logger.info(
            f'Queue of {model.queue_len} keys{" (from the number of images)" if derived else ""}, {keys_per_step} new '
            f'ones each step; own keys from earlier epochs {"are left out" if model.mask_own_keys else "count"}; batch '
            f'statistics of up to {model.bn_splits} group(s) in each of {dist.get_world_size()} process(es).')

    def before_train_epoch(self, runner: Runner) -> None:
        """Count the batches of an optimizer step from the epoch's first."""
        if self._accumulative_counts(runner) > 1:
            runner.optim_wrapper.initialize_count_status(runner.model, 0, len(runner.train_dataloader))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Let the keys enter the queue after an optimizer step."""
        if runner.optim_wrapper.should_update():
            clim_of(runner, 'QueueHook').advance()

    @staticmethod
    def _accumulative_counts(runner: Runner) -> int:
        return runner.cfg.get('optim_wrapper', {}).get('accumulative_counts', 1)
