"""What a refresh has found, for people: a line in the log and in a file, an accuracy, a page."""

import logging
import math
import os.path as osp
import time
from typing import Any, Optional

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints import write_atomically
from clim_mm.checks import check_number, check_whole
from clim_mm.evaluation.features import train_and_held_out
from clim_mm.evaluation.measures import TEMPERATURE, VOTERS, check_classes, check_voters, knn_top1
from clim_mm.neighbors.refresh import Refresh
from clim_mm.neighbors.refresh_health import judge_refresh
from clim_mm.protocols import Embeds, TakesNeighbors
from clim_mm.registry import HOOKS
from clim_mm.visualization import PageHead, evenly_spread, positives_page
from clim_mm.visualization.page import SIDE
from clim_mm.visualization.positives_page import ANCHORS

from .runner_parts import append_record, dataset_with, model_with, needed_refresher


def report_refresh(runner: Runner, report: dict[str, float], version: int) -> None:
    """Log the figures of a refresh with a verdict, and append them to ``neighbors.jsonl`` in the work dir.

    ``version`` is that of the table which the refresh is about to publish.
    """
    health = judge_refresh(report)
    runner.logger.log(
        logging.WARNING if health.is_bad else logging.INFO, f'{describe(report, runner.epoch)} {health.reason}')
    numbers = {name: value for name, value in report.items() if math.isfinite(value)}  # backends write NaN as it is
    runner.visualizer.add_scalars({f'neighbors/{name}': value for name, value in numbers.items()}, step=runner.iter)
    append_record(runner, 'neighbors.jsonl', version=version, **report, state=health.state, reason=health.reason)


def describe(report: dict[str, float], epoch: int) -> str:
    """The refresh in a sentence."""
    seconds = _with_prefix(report, 'seconds_')
    parts = ', '.join(f'{name} {value:.1f} s' for name, value in seconds.items())
    text = (f'Neighbours refreshed at epoch {epoch} in {sum(seconds.values()):.1f} s ({parts}): '
            f'{report["share_without_positive"]:.1%} of the images have no positive, '
            f'{report["empty_clusters"]:.0f} of {report["num_clusters"]:.0f} clusters are empty, the largest holds '
            f'{report["largest_cluster"]:.1%} of the images (balance {report["cluster_balance"]:.2f} of 1)')
    if report.get('share_with_copy'):
        text += f', {report["share_with_copy"]:.1%} of the images have one with the same features'
    if 'rank_me' in report:
        text += f', the features spread over {report["rank_me"]:.1f} directions'
    if 'recall' in report:
        text += (f', {report["recall"]:.2%} of the neighbours of a sample are found in {report["nprobe"]:.0f} clusters'
                 if report['nprobe'] else f', each image was compared with all, since few clusters did not do '
                 f'(recall {report["recall"]:.2%})')
    if 'bank_never_seen' in report:
        text += f', {report["bank_never_seen"]:.1%} of the images had no key in the bank'
        if math.isfinite(report['bank_age']):
            text += f', the keys of the others are {report["bank_age"]:.1f} epochs old'
    changed = report.get('positives_changed', math.nan)
    if math.isfinite(changed):
        text += f', {changed:.1%} of the positives are new'
    purities = ', '.join(f'{name} {value:.3f}' for name, value in _with_prefix(report, 'purity_').items())
    return f'{text}, purity {purities}.' if purities else f'{text}.'


def _with_prefix(report: dict[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in report.items() if name.startswith(prefix)}


@HOOKS.register_module()
class KNNHook(Hook):
    """Weighted kNN on held-out images, whose voters are the training features of the refresh that has just run.

    Only the config's ``held_out`` images are extracted, by the encoder and layer of the refresh. The accuracy goes to
    the log, to the visualizer's backends as ``knn/top1``, and to ``knn.jsonl`` in the work dir.

    Args:
        k, temperature: Number of the voters, and that of their weights.
    """

    def __init__(self, k: int = VOTERS, temperature: float = TEMPERATURE) -> None:
        check_whole('k of KNNHook', k, least=1)
        check_number('temperature of KNNHook', temperature, above=0)
        self.k = k
        self.temperature = temperature

    def before_train(self, runner: Runner) -> None:
        """Find the images, and whose features vote."""
        self._refresher = needed_refresher(runner, 'KNNHook')
        self._train, self._test = train_and_held_out(runner.cfg, runner.logger.info)
        check_voters(self.k, len(self._train.labels))
        check_classes(self._train.labels)

    def after_neighbor_refresh(self, runner: Runner, features: Optional[np.ndarray], found: Optional[Refresh]) -> None:
        """Extract the held-out images, and let the refresh's features vote."""
        start = time.perf_counter()
        test_features = self._refresher.extraction.features_of(model_with(runner, Embeds, 'KNNHook'), self._test.views)
        if features is None or test_features is None:
            return
        readable = dataset_with(runner, TakesNeighbors, 'KNNHook').quarantine.readable
        k = min(self.k, len(readable))
        top1 = knn_top1(features[readable], self._train.labels[readable], test_features, self._test.labels, k,
                        self.temperature)
        seconds = time.perf_counter() - start
        runner.logger.info(f'{k}-NN of {len(self._test.labels)} held-out images at epoch {runner.epoch}: '
                           f'{top1:.2%} top-1 ({seconds:.1f} s).')
        runner.visualizer.add_scalars({'knn/top1': top1}, step=runner.iter)
        append_record(runner, 'knn.jsonl', k=k, top1=top1, seconds=seconds)


@HOOKS.register_module()
class NeighborPageHook(Hook):
    """Writes ``neighbors/epoch_N.html`` in the work dir after each refresh: anchors, their positives, and why.

    The anchors are evenly spread over the training set, and the same ones each time. The training goes on without a
    page that cannot be written.

    Args:
        num_anchors: On a page, at most [ours].
        thumbnail: Side of the pictures in pixels, 16 to 256; smaller where the page would grow beyond 14 MB [ours].
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

    def before_train(self, runner: Runner) -> None:
        """Choose the anchors, and note their positives if the run goes on from a table."""
        self._refresher: Any = needed_refresher(runner, 'NeighborPageHook')
        dataset = dataset_with(runner, TakesNeighbors, 'NeighborPageHook')
        self._anchors = evenly_spread(len(dataset), self.num_anchors)
        self._previous = dataset.table.positives[self._anchors] if dataset.table.version else None

    def after_neighbor_refresh(self, runner: Runner, features: Optional[np.ndarray], found: Optional[Refresh]) -> None:
        """Write the page, on rank 0."""
        if found is None:
            return
        if (runner.train_dataloader.dataset.table.version - 1) % self.interval == 0:
            try:
                self._write(runner, found)
            except Exception:  # whatever it is, it must not cost a training of weeks
                runner.logger.exception('The page of this refresh is missing:')
        self._previous = found.positives[self._anchors]

    def _write(self, runner: Runner, found: Refresh) -> None:
        start = time.perf_counter()
        strategy = self._refresher.strategy
        names = {'without positive': 'share_without_positive', 'new positives': 'positives_changed',
                 'purity': f'purity_{strategy}'}
        whole = {text: found.report[name] for text, name in names.items() if name in found.report}
        page = positives_page(
            runner.train_dataloader.dataset.dataset, found, self._anchors,
            PageHead(f'Positives of the refresh before epoch {runner.epoch}', strategy, whole=whole),
            previous=self._previous, thumbnail=self.thumbnail,
            load=self._refresher.extraction.settings['pipeline'][:1]).encode()
        path = osp.join(runner.work_dir, 'neighbors', f'epoch_{runner.epoch}.html')
        write_atomically(path, page)
        runner.logger.info(f'Wrote {path} ({len(page) / 1e6:.1f} MB) in {time.perf_counter() - start:.1f} s.')
