"""When a training waits for a batch."""

from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.registry import HOOKS

from .loader_watch import LoaderWatch


@HOOKS.register_module()
class LoaderWatchHook(Hook):
    """Has a :class:`LoaderWatch` told when a batch of training, validation or test is waited for."""

    priority = 'VERY_LOW'  # what other hooks take long for is no wait for a batch

    def __init__(self) -> None:
        self._watch: Optional[LoaderWatch] = None

    def before_run(self, runner: Runner) -> None:
        """Begin to watch."""
        self._watch = LoaderWatch()

    def after_run(self, runner: Runner) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.close()

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if self._watch is not None:
            self._watch.expect()

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, mode: str = 'train') -> None:
        if self._watch is not None:
            self._watch.came()

    def _after_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None,
                    mode: str = 'train') -> None:
        loader = getattr(runner, f'{mode}_dataloader')
        # After the last batch follow checkpoints, or figures that take minutes. A stream has none that is known.
        is_last = hasattr(loader.dataset, '__len__') and (batch_idx + 1) % len(loader) == 0
        if self._watch is not None and not is_last:
            self._watch.expect()

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if self._watch is not None:
            self._watch.came()
