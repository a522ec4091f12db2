"""When unreadable images are listed."""

from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.datasets.disk_faults import readable_again
from clim_mm.registry import HOOKS

from .runner_parts import pairs_of, resumed, taking_up
from .share_quarantine import list_quarantine, share_quarantine


@HOOKS.register_module()
class QuarantineHook(Hook):
    """Keeps the list of unreadable images, ``quarantine.txt`` in the work dir, and stops if they are too many.

    What the workers find comes with their samples, and is shared and listed when the epoch ends.

    Raises:
        ConfigError: If the training set is no NeighborPairs.
        DataError: On every process, if the share of unreadable images is above the dataset's ``max_unreadable``.
    """

    priority = 'NORMAL'
    checkpoint_part = 'quarantine'

    def __init__(self) -> None:
        self._loaded: Optional[dict] = None

    def before_train(self, runner: Runner) -> None:
        """Take up the quarantine of a resumed run, except for images that are there again."""
        dataset = pairs_of(runner, 'QuarantineHook')
        if resumed(runner) and self._loaded is not None:
            with taking_up('list of unreadable images'):
                dataset.quarantine.load_state_dict(self._loaded)
            if ids := readable_again(dataset):
                dataset.quarantine.release(ids)
                runner.logger.info(f'{len(ids)} images of the quarantine are there again, and are trained on.')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Take up what this batch's workers found."""
        quarantine = runner.train_dataloader.dataset.quarantine
        for sample in data_batch['data_samples']:
            if sample.get('unreadable'):
                quarantine.add(sample.unreadable)

    def after_train_epoch(self, runner: Runner) -> None:
        """Share what was found, before the checkpoint is written."""
        quarantine = runner.train_dataloader.dataset.quarantine
        share_quarantine(quarantine)
        list_quarantine(quarantine, runner.work_dir)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the quarantine into the checkpoint."""
        checkpoint['quarantine'] = runner.train_dataloader.dataset.quarantine.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's quarantine until the training set is known to be there."""
        self._loaded = checkpoint.get('quarantine')
