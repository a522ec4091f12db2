"""When the framework's histories of figures are cut back, in whatever training."""

from collections.abc import Collection
from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import Runner

from clim_mm.registry import HOOKS

_KEPT = 10_000  # entries [ours]


@HOOKS.register_module()
class HistoryHook(Hook):
    """Bounds what the message hub remembers of losses, learning rates, times and all other figures.

    It copies a whole history at each step, by default up to a million entries: 5 ms for each figure at iteration
    500,000. What is shown of them are means over the last iterations, so that the last 10,000 suffice, or as many as
    the longest ``interval`` of a hook or window of the log processor has. A figure whose mean over the whole training
    is wanted (``window_size='global'``) is left alone.
    """

    priority = 'VERY_LOW'  # after whoever reads or adds figures

    def _after_iter(self,
                    runner: Runner,
                    batch_idx: int,
                    data_batch: Any = None,
                    outputs: Optional[Any] = None,
                    mode: str = 'train') -> None:
        """Cut back every history that could grow beyond what is shown."""
        windows = runner.log_processor.custom_cfg
        whole = {log['data_src'] for log in windows if log.get('window_size') == 'global'}
        keep_short(runner.message_hub, _longest_window(runner), but=whole)


def keep_short(message_hub: MessageHub, most: int, but: Collection[str] = ()) -> None:
    """Let every history have ``most`` entries at most, the newest, from now on.

    Args:
        message_hub: Of the histories.
        most: Entries.
        but: Names, without ``train/`` and the like, of those that are left alone.
    """
    histories = message_hub.log_scalars
    for name, history in histories.items():
        if history.max_length > most and name.partition('/')[2] not in but:
            logs, counts = history.data
            histories[name] = HistoryBuffer(logs[-most:], counts[-most:], most)


def _longest_window(runner: Runner) -> int:
    sizes = [log.get('window_size') for log in runner.log_processor.custom_cfg]
    sizes += [runner.log_processor.window_size, *(getattr(hook, 'interval', None) for hook in runner.hooks)]
    epoch = len(runner.train_dataloader) if 'epoch' in sizes else 0
    return max(_KEPT, epoch, *(size for size in sizes if isinstance(size, int)))
