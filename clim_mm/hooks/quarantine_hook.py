"""Hook that lists unreadable images and stops where there are too many."""

from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.protocols import Quarantining
from clim_mm.registry import HOOKS

from .runner_parts import dataset_with, list_quarantine, part_of_checkpoint, resumed


@HOOKS.register_module()
class QuarantineHook(Hook):
    """Keeps the list of unreadable images, ``quarantine.txt`` in the work dir, and stops if they are too many.

    What the workers find comes with their samples, and is shared and listed when the epoch ends.
    """

    priority = 'NORMAL'
    checkpoint_part = 'quarantine'

    def __init__(self) -> None:
        self._loaded: Optional[dict] = None

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
