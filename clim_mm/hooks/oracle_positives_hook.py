"""Hook that lets the labels choose the positives, to show what purer ones would be worth."""

from dataclasses import replace
from typing import Any, Optional

import numpy as np
from mmengine.runner import Runner

from clim_mm.checks import check_number
from clim_mm.datasets import labels_of
from clim_mm.errors import DataError
from clim_mm.neighbors.oracle import positives_of_purity
from clim_mm.neighbors.refresh import Refresh, refresh_seed
from clim_mm.neighbors.refresh_health import positives_changed, purity, share_without_positive
from clim_mm.registry import HOOKS

from .center_wise_neighbor_hook import CenterWiseNeighborHook


@HOOKS.register_module()
class OraclePositivesHook(CenterWiseNeighborHook):
    """Publishes positives of a chosen purity instead of those that the features find [ours].

    For studies: it uses the labels, so that what it trains is not self-supervised. All else, the report of what the
    features would have found too, is as without it.

    Args:
        purity: Share of the positives that have the anchor's label, 0 to 1.
        kwargs: As for :class:`CenterWiseNeighborHook`.
    """

    def __init__(self, purity: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_number('purity of OraclePositivesHook', purity, least=0, most=1)
        self.purity = purity

    def before_train(self, runner: Runner) -> None:
        """Check that the images have labels."""
        super().before_train(runner)
        if labels_of(runner.train_dataloader.dataset.dataset) is None:
            raise DataError('OraclePositivesHook chooses positives by labels, and the training set has none: take '
                            'CenterWiseNeighborHook, or a set of class folders.')

    def find(self, runner: Runner, features: np.ndarray, seed: Optional[int] = None) -> Refresh:
        """What a refresh finds, with positives by the labels in place of its own."""
        found = super().find(runner, features, seed)
        dataset, labels = runner.train_dataloader.dataset, self._labels
        assert labels is not None  # checked before
        readable = dataset.quarantine.readable
        drawn = positives_of_purity(labels[readable], self.purity, dataset.table.num_positives,
                                    refresh_seed(runner.seed, runner.epoch) if seed is None else seed)
        positives = np.full_like(found.positives, -1)
        positives[readable] = np.where(drawn >= 0, readable[drawn], -1)
        report = dict(purity_oracle=purity(positives, labels), **found.report)
        report['share_without_positive'] = share_without_positive(drawn)
        if dataset.table.version:
            report['positives_changed'] = positives_changed(dataset.table.positives, positives)
        return replace(found, positives=positives, report=report)
