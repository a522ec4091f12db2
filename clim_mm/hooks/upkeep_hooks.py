"""Hooks that every training has: bounded histories, and a warning when it waits for a batch."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from clim_mm.distributed.loader_watch import LoaderWatch
from clim_mm.registry import HOOKS

_KEPT = 10_000  # entries [ours]


@HOOKS.register_module()
class HistoryHook(Hook):
    """Bounds what the message hub remembers of losses, learning rates, times and all other figures to 10,000 entries.

    It copies a whole history at each step, by default up to a million entries: 5 ms a figure at iteration 500,000.
    Figures whose mean over an epoch or the whole training is wanted (the log processor's ``window_size``) stay whole.
    """

    priority = 'VERY_LOW'  # after whoever reads or adds figures

    def _after_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None,
                    mode: str = 'train') -> None:
        """Cut back every history that could grow beyond what is shown."""
        whole = {log['data_src'] for log in runner.log_processor.custom_cfg
                 if log.get('window_size') in ('epoch', 'global')}
        histories = runner.message_hub.log_scalars
        for name, history in histories.items():
            if history.max_length > _KEPT and name.partition('/')[2] not in whole:
                values, counts = history.data
                histories[name] = HistoryBuffer(values[-_KEPT:], counts[-_KEPT:], _KEPT)


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
