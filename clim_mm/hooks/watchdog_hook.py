"""Hook that judges at each logging interval whether the training is healthy."""

import logging
from typing import Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner

from clim_mm.checks import check_whole
from clim_mm.distributed import unwrapped
from clim_mm.health import is_early
from clim_mm.protocols import Judged, RefreshesNeighbors
from clim_mm.registry import HOOKS

from .runner_parts import append_record


@HOOKS.register_module()
class WatchdogHook(Hook):
    """Says at every logging interval whether the training is healthy, and why.

    The figures that the model's ``health_rules`` name, averaged over the interval on the main process, and the verdict
    become a line of ``watchdog.jsonl`` in the work dir: ``run``, ``epoch`` (from 0), ``iter`` (steps done), the
    figures, ``state`` and ``reason``; of two lines on one iteration, as after a resume, the later counts. The log gets
    the reason when the verdict changes, and once an epoch. A model without such rules is not judged.

    Args:
        interval: Iterations from one verdict to the next, counted in each epoch; in a shorter epoch at its end. None
            takes that of the LoggerHook, or 50 without one.
    """

    priority = 'LOW'  # after the LoggerHook's line of figures, and before a checkpoint is written

    def __init__(self, interval: Optional[int] = None) -> None:
        check_whole('interval of WatchdogHook', interval, least=1, optional=True)
        self.interval = interval

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Judge the interval that ends here, if one does."""
        interval = self.interval or next((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), 50)
        ends = self.every_n_inner_iters(batch_idx, interval) or len(runner.train_dataloader) == batch_idx + 1 < interval
        if ends and is_main_process() and isinstance(unwrapped(runner), Judged):
            self._judge(runner, window=min(interval, batch_idx + 1))

    def _judge(self, runner: Runner, window: int) -> None:
        scalars, rules = runner.message_hub.log_scalars, unwrapped(runner).health_rules
        figures = {name: float(scalars[f'train/{name}'].mean(window)) for name in rules.figures
                   if f'train/{name}' in scalars}
        if rules.figures[0] not in figures:
            return
        memory = runner.message_hub.get_info('watchdog', {})  # checkpoints hold it
        iteration, best = runner.iter + 1, memory.get('best', {})
        early = is_early(iteration, runner.max_iters)
        health = rules.judge(figures, early, _positives_due(runner), best)
        verdict = dict(state=health.state, cause=health.cause, epoch=runner.epoch)
        append_record(runner, 'watchdog.jsonl', iter=iteration, **figures, state=health.state, reason=health.reason)
        if verdict != memory.get('verdict'):
            # The logger drops a warning that it has given before: the iteration makes each a new one.
            level = logging.WARNING if health.is_bad else logging.INFO
            runner.logger.log(level, f'Watchdog at iteration {iteration}: {health.reason}')
        if not early:
            best = rules.best(best, figures)
        runner.message_hub.update_info('watchdog', dict(verdict=verdict, best=best))


def _positives_due(runner: Runner) -> bool:
    """Whether no hook means to begin with positives later."""
    return all(runner.epoch >= hook.begin for hook in runner.hooks if isinstance(hook, RefreshesNeighbors))
