"""Hook that fits the queues to the training set, and lets keys enter once per optimizer step."""

import torch
from mmengine import dist
from mmengine.runner import Runner

from clim_mm.errors import ConfigError
from clim_mm.neighbors.defaults import default_queue_len, is_small
from clim_mm.preflight.settings import batches_per_step
from clim_mm.protocols import HasQueues
from clim_mm.registry import HOOKS

from .optimizer_step_hook import OptimizerStepHook
from .runner_parts import model_with, resumed


@HOOKS.register_module()
class QueueHook(OptimizerStepHook):
    """Fits the queues of a model to the training set, and lets keys enter once per optimizer step.

    With ``accumulative_counts`` batches to an optimizer step, the momentum encoder moves with the first of them, and
    the keys of all enter the queue after the last.
    """

    def before_train(self, runner: Runner) -> None:
        """Choose what the config leaves open, and print it."""
        model, num_images = model_with(runner, HasQueues, 'QueueHook'), len(runner.train_dataloader.dataset)
        super().before_train(runner)
        batch_size = runner.train_dataloader.batch_sampler.batch_size * dist.get_world_size()
        keys_per_step = batch_size * batches_per_step(runner.optim_wrapper) * model.keys_per_sample
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
