"""Hook that writes a page of anchors and their positives after each refresh."""

import os.path as osp
import time
from typing import Optional

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints import write_atomically
from clim_mm.checks import check_whole
from clim_mm.errors import UserError
from clim_mm.neighbors.refresh import Refresh
from clim_mm.protocols import TakesNeighbors
from clim_mm.registry import HOOKS
from clim_mm.visualization import PageHead, evenly_spread, positives_page
from clim_mm.visualization.positives_page import ANCHORS, SIDE

from .runner_parts import dataset_with, needed_refresher

_NAME = 'NeighborPageHook'
_SHARES = dict(share_without_positive='without positive', positives_changed='new positives')


@HOOKS.register_module()
class NeighborPageHook(Hook):
    """Writes ``neighbors/epoch_N.html`` in the work dir after each refresh: anchors, their positives, and why.

    The anchors are evenly spread over the training set, and the same ones each time. A page that cannot be written is
    warned of; the training goes on.

    Args:
        num_anchors: On a page, at most [ours].
        thumbnail: Side of the pictures in pixels, 16 to 256; they are made smaller where the page would grow beyond
            14 MB [ours].
        interval: Write at every so many refreshes, the first included.
    """

    priority = 'LOW'  # after CenterWiseNeighborHook has taken up the table of a resumed run

    def __init__(self, num_anchors: int = ANCHORS, thumbnail: int = SIDE, interval: int = 1) -> None:
        check_whole('num_anchors of NeighborPageHook', num_anchors, least=1)
        check_whole('thumbnail of NeighborPageHook', thumbnail, least=16, most=256)
        check_whole('interval of NeighborPageHook', interval, least=1)
        self.num_anchors = num_anchors
        self.thumbnail = thumbnail
        self.interval = interval
        self._anchors = np.empty(0, dtype=np.int64)
        self._previous: Optional[np.ndarray] = None  # (A, P) positives of the anchors at the refresh before

    def before_train(self, runner: Runner) -> None:
        """Choose the anchors, and note their positives if the run goes on from a table."""
        needed_refresher(runner, _NAME)
        dataset = dataset_with(runner, TakesNeighbors, _NAME)
        self._anchors = evenly_spread(len(dataset), self.num_anchors)
        self._previous = dataset.table.positives[self._anchors] if dataset.table.version else None

    def after_neighbor_refresh(self, runner: Runner, features: Optional[np.ndarray], found: Optional[Refresh]) -> None:
        """Write the page, on rank 0."""
        if features is None or found is None:
            return
        if (dataset_with(runner, TakesNeighbors, _NAME).table.version - 1) % self.interval == 0:
            try:
                self._write(runner, features, found)
            except UserError as error:
                runner.logger.warning(f'The page of this refresh is missing: {error}')
            except Exception:  # whatever it is, it must not cost a training of weeks
                runner.logger.exception('The page of this refresh is missing, by a bug:')
        self._previous = found.positives[self._anchors]

    def _write(self, runner: Runner, features: np.ndarray, found: Refresh) -> None:
        start = time.perf_counter()
        refresher = needed_refresher(runner, _NAME)
        strategy = refresher.strategy
        whole = {text: found.report[name] for name, text in _SHARES.items() if name in found.report}
        if f'purity_{strategy}' in found.report:
            whole['purity'] = found.report[f'purity_{strategy}']
        page = positives_page(
            dataset_with(runner, TakesNeighbors, _NAME).dataset, features, found, self._anchors,
            PageHead(f'Positives of the refresh before epoch {runner.epoch}', strategy, whole=whole),
            previous=self._previous, thumbnail=self.thumbnail,
            load=refresher.extraction.settings['pipeline'][:1]).encode()
        path = osp.join(runner.work_dir, 'neighbors', f'epoch_{runner.epoch}.html')
        write_atomically(path, page)
        runner.logger.info(f'Wrote {path} ({len(page) / 1e6:.1f} MB) in {time.perf_counter() - start:.1f} s.')
