"""Hook that bounds the message hub's histories."""

from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
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

    def _after_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[Any] = None,
                    mode: str = 'train') -> None:
        """Cut back every history that could grow beyond what is shown."""
        logs = runner.log_processor.custom_cfg
        whole = {log['data_src'] for log in logs if log.get('window_size') == 'global'}
        sizes = [log.get('window_size') for log in logs]
        sizes += [runner.log_processor.window_size, *(getattr(hook, 'interval', None) for hook in runner.hooks)]
        epoch = len(runner.train_dataloader) if 'epoch' in sizes else 0
        most = max(_KEPT, epoch, *(size for size in sizes if isinstance(size, int)))
        histories = runner.message_hub.log_scalars
        for name, history in histories.items():
            if history.max_length > most and name.partition('/')[2] not in whole:
                values, counts = history.data
                histories[name] = HistoryBuffer(values[-most:], counts[-most:], most)
