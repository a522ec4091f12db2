"""Hook that compares the training set with the checkpoint's on resume."""

import gzip
import os.path as osp
import zlib
from typing import Optional

from mmengine import dist
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints import write_atomically
from clim_mm.datasets.manifest import Manifest, difference
from clim_mm.distributed import host_group
from clim_mm.errors import CheckpointError, DataError
from clim_mm.protocols import Quarantining
from clim_mm.registry import HOOKS

from .runner_parts import dataset_with, resumed


@HOOKS.register_module()
class ManifestHook(Hook):
    """Notices a changed data folder on resume, by the paths and sizes of all images.

    Checkpoints hold the digest; ``manifest.txt.gz`` in the work dir tells what has changed. Moving the whole
    folder elsewhere changes nothing.
    """

    priority = 'NORMAL'
    checkpoint_part = 'manifest'

    def __init__(self) -> None:
        self._manifest: Optional[Manifest] = None  # on the main process
        self._loaded: Optional[str] = None
        self._mendable: list[int] = []  # ids that were in quarantine then

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
        """A sentence on what is wrong, or nothing; on the main process."""
        self._manifest = Manifest.of(dataset, progress=True)
        now = self._manifest.without_sizes_of(self._mendable)
        path = osp.join(runner.work_dir, 'manifest.txt.gz')
        if resumed(runner) and self._loaded not in (None, now.digest):
            before = _read(path).without_sizes_of(self._mendable)
            changes = difference(before, now) if before.digest == self._loaded else ''
            return (f'The training set is not the one of the checkpoint{": " if changes else ""}{changes}. Sample ids '
                    'would mean other images than the neighbour table\'s: put the data back as it was, or start anew '
                    'from the weights alone, by load_from instead of --resume.')
        try:
            write_atomically(path, gzip.compress(self._manifest.text().encode(), compresslevel=1, mtime=0))
        except CheckpointError as error:  # the others must not wait for this process
            return str(error)
        return ''


def _read(path: str) -> Manifest:
    """The manifest of a file; one without lines if there is none, or it is damaged."""
    if not osp.isfile(path):  # a pipe would have us wait
        return Manifest([])
    try:
        with gzip.open(path, 'rt', encoding='utf-8') as file:
            return Manifest(file.read().splitlines())
    except (OSError, EOFError, zlib.error, ValueError):
        return Manifest([])
