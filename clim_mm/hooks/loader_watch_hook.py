"""Hook that warns when a training waits for a batch."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.distributed.loader_watch import LoaderWatch
from clim_mm.registry import HOOKS


@HOOKS.register_module()
class LoaderWatchHook(Hook):
    """Tells a :class:`LoaderWatch` when a batch of training, validation or test is waited for."""

    priority = 'VERY_LOW'  # what other hooks take long for is no wait for a batch

    def __init__(self) -> None:
        self._watch = LoaderWatch()

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        self._watch.expect()

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, mode: str = 'train') -> None:
        self._watch.came()

    def _after_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None,
                    mode: str = 'train') -> None:
        loader = getattr(runner, f'{mode}_dataloader')
        # After the last batch follow checkpoints, or figures that take minutes. A stream has none that is known.
        if not hasattr(loader.dataset, '__len__') or (batch_idx + 1) % len(loader):
            self._watch.expect()

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        self._watch.came()
