"""Hook that starts the randomness of each epoch."""

import random
from typing import Optional

import numpy as np
import torch
from mmengine import dist
from mmengine.hooks import DistSamplerSeedHook
from mmengine.runner import Runner

from clim_mm.distributed import host_group
from clim_mm.errors import ConfigError
from clim_mm.protocols import SeededSamples
from clim_mm.registry import HOOKS

from .runner_parts import check_epochs


@HOOKS.register_module()
class EpochRandomnessHook(DistSamplerSeedHook):
    """Makes an epoch's randomness depend on the seed and the epoch alone, so that a resumed run draws the same.

    The order of the samples, what happens to each (in the workers too), and what the training process draws: nothing
    of it has to be stored, and nothing depends on what came before the epoch.
    """

    def before_train(self, runner: Runner) -> None:
        """Give the sampler the seed of the checkpoint, which the Runner takes up after it has built the sampler."""
        if len(set(dist.all_gather_object(runner.seed, group=host_group()))) > 1:
            raise ConfigError('randomness.diff_rank_seed=True lets every process divide the images otherwise: set it '
                              'to False; what a process draws differs by its rank anyhow.')
        loader = runner.train_dataloader
        if isinstance(loader.dataset, SeededSamples):
            check_epochs(runner, 'EpochRandomnessHook')
        for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
            if sampler is not None and hasattr(sampler, 'seed'):
                sampler.seed = runner.seed

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the sampler and the samples the epoch."""
        super().before_train_epoch(runner)
        dataset = runner.train_dataloader.dataset
        if isinstance(dataset, SeededSamples):
            dataset.randomness.start_epoch(runner.seed, runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        """Seed this process at the epoch's first batch: to start workers and to refresh has drawn numbers by then."""
        if batch_idx == 0:
            seed_process(runner.seed, runner.epoch, dist.get_rank())


def seed_process(seed: int, epoch: int, rank: int) -> None:
    """Seed the global generators of ``random``, numpy and torch, on every device."""
    python_seed, numpy_seed, torch_seed = np.random.SeedSequence((seed, epoch, rank)).generate_state(3).tolist()
    random.seed(python_seed)
    np.random.seed(numpy_seed)
    torch.manual_seed(torch_seed)
