"""Hooks on the training set: its randomness, its unreadable images, and whether it is that of the checkpoint."""

import gzip
import logging
import os.path as osp
import random
import zlib
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Optional

import numpy as np
import torch
from mmengine import dist
from mmengine.dataset import BaseDataset
from mmengine.hooks import DistSamplerSeedHook, Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from clim_mm.checkpoints import write_atomically
from clim_mm.datasets import Quarantine
from clim_mm.datasets.manifest import Manifest, difference
from clim_mm.distributed import host_group
from clim_mm.errors import CheckpointError, ConfigError, DataError
from clim_mm.protocols import Quarantining, SeededSamples
from clim_mm.registry import HOOKS

from .runner_parts import check_epochs, dataset_with, part_of_checkpoint, resumed


@HOOKS.register_module()
class EpochRandomnessHook(DistSamplerSeedHook):
    """Makes an epoch's randomness depend on the seed and the epoch alone, so that a resumed run draws the same.

    That is the order of the samples, what happens to each, in the workers too, and what the training process draws.
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
        if isinstance(dataset := runner.train_dataloader.dataset, SeededSamples):
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


@HOOKS.register_module()
class ManifestHook(Hook):
    """Notices a changed data folder on resume, by the paths and sizes of all images.

    Checkpoints hold the digest; ``manifest.txt.gz`` in the work dir tells what has changed. The folder may be moved.
    """

    priority = 'NORMAL'
    checkpoint_part = 'manifest'
    _manifest: Optional[Manifest] = None  # on the main process
    _loaded: Optional[str] = None
    _mendable: Collection[int] = ()  # ids that were in quarantine then

    def before_train(self, runner: Runner) -> None:
        """Make the manifest, compare it, and write it."""
        dataset = dataset_with(runner, Quarantining, 'ManifestHook').dataset
        verdict = [self._compare(runner, dataset) if dist.is_main_process() else '']
        dist.broadcast_object_list(verdict, group=host_group())
        if verdict[0]:
            raise DataError(verdict[0])

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the digest into the checkpoint; the sizes of images in quarantine do not count."""
        if self._manifest is not None:
            held = runner.train_dataloader.dataset.quarantine.entries
            checkpoint['manifest'] = self._manifest.without_sizes_of(held).digest

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's digest until the training set is known to be there."""
        self._loaded = checkpoint.get('manifest')
        self._mendable = (checkpoint.get('quarantine') or {}).get('ids', [])

    def _compare(self, runner: Runner, dataset: BaseDataset) -> str:
        """A sentence on what is wrong, or nothing; on the main process, which the others must not wait for."""
        self._manifest = Manifest.of(dataset, progress=True)
        now = self._manifest.without_sizes_of(self._mendable)
        path = osp.join(runner.work_dir, 'manifest.txt.gz')
        if resumed(runner) and self._loaded not in (None, now.digest):
            changes = ''
            with suppress(OSError, EOFError, zlib.error, ValueError), gzip.open(path, 'rt', encoding='utf-8') as file:
                before = Manifest(file.read().splitlines()).without_sizes_of(self._mendable)
                changes = difference(before, now) if before.digest == self._loaded else ''
            return (f'The training set is not the one of the checkpoint{": " if changes else ""}{changes}. Sample ids '
                    'would mean other images than the neighbour table\'s: put the data back as it was, or start anew '
                    'from the weights alone, by load_from instead of --resume.')
        try:
            write_atomically(path, gzip.compress(self._manifest.text().encode(), compresslevel=1, mtime=0))
        except CheckpointError as error:
            return str(error)
        return ''


@HOOKS.register_module()
class QuarantineHook(Hook):
    """Lists the unreadable images that workers find in ``quarantine.txt`` at each epoch's end; stops if too many."""

    priority = 'NORMAL'
    checkpoint_part = 'quarantine'
    _loaded: Optional[dict] = None

    def before_train(self, runner: Runner) -> None:
        """Take up the quarantine of a resumed run, except for missing images, which are tried again."""
        dataset = dataset_with(runner, Quarantining, 'QuarantineHook')
        if resumed(runner) and self._loaded is not None:
            with part_of_checkpoint('list of unreadable images'):
                dataset.quarantine.load_state_dict(self._loaded)
            if number := dataset.quarantine.release_missing():
                runner.logger.info(f'{number} images of the quarantine were missing, and are tried again.')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Take up what this batch's workers found."""
        quarantine = runner.train_dataloader.dataset.quarantine
        for sample in data_batch.get('data_samples', []):
            if sample.get('unreadable'):
                quarantine.add(sample.unreadable)

    def after_train_epoch(self, runner: Runner) -> None:
        """Share what was found, before the checkpoint is written."""
        quarantine = runner.train_dataloader.dataset.quarantine
        quarantine.share()
        list_quarantine(quarantine, runner.work_dir)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the quarantine into the checkpoint."""
        checkpoint['quarantine'] = runner.train_dataloader.dataset.quarantine.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's quarantine until the training set is known to be there."""
        self._loaded = checkpoint.get('quarantine')


def list_quarantine(quarantine: Quarantine, work_dir: str) -> None:
    """Write ``quarantine.txt`` if any image is unreadable, and raise a DataError, after that, if too many are.

    A list that cannot be written costs a warning; checkpoints hold it, too.
    """
    if quarantine.entries and dist.is_main_process():
        try:
            write_atomically(osp.join(work_dir, 'quarantine.txt'), quarantine.listing().encode())
        except CheckpointError as error:
            print_log(f'The list of unreadable images is missing: {error}', logger='current', level=logging.WARNING)
    dist.barrier(group=host_group())  # a process that stops would take the writing one with it
    quarantine.check()
