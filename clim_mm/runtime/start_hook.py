"""What a training has started from, in its checkpoints."""

from collections.abc import Mapping
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints.weights import COUNTER, weights_sha256
from clim_mm.errors import ConfigError

_META = 'started_from'


class StartHook(Hook):
    """Keeps a training to what it has started from, however often it is resumed: a base for hooks that know it.

    Without it a resumed evaluation would go on from its own checkpoint, whatever pretraining it is given.
    """

    _started_from: Optional[str] = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take up what the training that is resumed has started from; older checkpoints do not tell."""
        self._started_from = (checkpoint.get('meta') or {}).get(_META)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Tell it."""
        checkpoint['meta'][_META] = self._started_from

    def _note_start(self, runner: Runner, weights: Mapping[str, torch.Tensor], words: str) -> None:
        """Note what a training starts from; one that is resumed must have started from the same.

        Args:
            runner: Of the training.
            weights: As their file has them; none for a start at random.
            words: Where they are from.

        Raises:
            ConfigError: If it has started from others.
        """
        now = weights_sha256({name: value.float() for name, value in weights.items() if not name.endswith(COUNTER)})
        if runner.iter > 0 and self._started_from not in (None, now):
            raise ConfigError(f'The training in {runner.work_dir} has not started {words}: resume it with what it '
                              'has started from, or choose another --work-dir for a new one.')
        if runner.iter == 0:
            self._started_from = now
