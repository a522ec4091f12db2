"""Hook that classifies held-out images by their nearest training images after each refresh."""

import time
from typing import Optional

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checks import check_number, check_whole
from clim_mm.evaluation.features import LabelledViews, train_and_held_out
from clim_mm.evaluation.measures import TEMPERATURE, VOTERS, check_classes, check_voters, knn_top1
from clim_mm.neighbors.refresh import Refresh
from clim_mm.protocols import Embeds, RefreshesNeighbors, TakesNeighbors
from clim_mm.registry import HOOKS

from .runner_parts import append_record, dataset_with, model_with, needed_refresher

_NAME = 'KNNHook'


@HOOKS.register_module()
class KNNHook(Hook):
    """Weighted kNN on held-out images, whose voters are the training features of the refresh that has just run.

    Only the held-out images are extracted, by the refresh's own encoder and layer. The accuracy goes to the log, to the
    visualizer's backends as ``knn/top1``, and to ``knn.jsonl`` in the work dir. The config's ``held_out`` says where
    the images are.

    Args:
        k: Voters.
        temperature: Of their weights.
    """

    def __init__(self, k: int = VOTERS, temperature: float = TEMPERATURE) -> None:
        check_whole(f'k of {_NAME}', k, least=1)
        check_number(f'temperature of {_NAME}', temperature, above=0)
        self.k = k
        self.temperature = temperature
        self._refresher: Optional[RefreshesNeighbors] = None
        self._train: Optional[LabelledViews] = None
        self._test: Optional[LabelledViews] = None

    def before_train(self, runner: Runner) -> None:
        """Find the images, and whose features vote."""
        self._refresher = needed_refresher(runner, _NAME)
        self._train, self._test = train_and_held_out(runner.cfg, runner.logger.info)
        check_voters(self.k, len(self._train.labels))
        check_classes(self._train.labels)

    def after_neighbor_refresh(self, runner: Runner, features: Optional[np.ndarray], found: Optional[Refresh]) -> None:
        """Extract the held-out images, and let the refresh's features vote."""
        assert self._refresher is not None and self._train is not None and self._test is not None
        start = time.perf_counter()
        test_features = self._refresher.extraction.features_of(model_with(runner, Embeds, _NAME), self._test.views)
        if features is None or test_features is None:
            return
        readable = dataset_with(runner, TakesNeighbors, _NAME).quarantine.readable
        k = min(self.k, len(readable))
        top1 = knn_top1(features[readable], self._train.labels[readable], test_features, self._test.labels, k,
                        self.temperature)
        seconds = time.perf_counter() - start
        runner.logger.info(f'{k}-NN of {len(self._test.labels)} held-out images at epoch {runner.epoch}: '
                           f'{top1:.2%} top-1 ({seconds:.1f} s).')
        runner.visualizer.add_scalars({'knn/top1': top1}, step=runner.iter)
        append_record(runner, 'knn.jsonl', k=k, top1=top1, seconds=seconds)
