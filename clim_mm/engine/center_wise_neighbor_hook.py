"""When the neighbours are refreshed."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Optional

import numpy as np
import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from clim_mm.datasets import NeighborPairs, SingleViews, labels_of
from clim_mm.errors import ConfigError
from clim_mm.models import CLIM
from clim_mm.neighbors import STRATEGIES
from clim_mm.neighbors.faiss_backend import load_faiss
from clim_mm.neighbors.refresh import refresh
from clim_mm.neighbors.sizes import neighbor_sizes
from clim_mm.registry import HOOKS

from .distributed import host_group
from .extract import extract_features
from .refresh_report import report_refresh


@HOOKS.register_module()
class CenterWiseNeighborHook(Hook):
    """Every ``interval`` epochs: extract, cluster, search, select, publish [paper A.2].

    The table goes into every checkpoint and comes back on resume.

    Args:
        extract: ``pipeline`` of the one deterministic view that features are taken from, ``batch_size`` and
            ``num_workers``.
        interval: Epochs from one refresh to the next; 5 [paper A.2].
        begin: Epoch of the first refresh, counted from 0; plain MoCo until then. 0 [ours: the paper gives no
            warm-up].
        num_clusters: m; 10,000 on ImageNet [paper A.2]. None derives it from the set's size [ours].
        num_neighbors: k; 40 on ImageNet [paper A.2]. None derives it from the set's size [ours].
        strategy: How positives are chosen [paper 3.2.1, Table 6].
        exact: Search among all images; False among those of the ``nprobe`` nearest centres [ours].
        nprobe: See ``exact``.
        encoder: ``momentum`` [csml] or ``query``.
        layer: ``embedding`` [paper 3.2.1] or ``pooled`` [csml].
        compare: Strategies whose purity is logged beside that of ``strategy``, where the dataset has labels.

    Raises:
        ConfigError: If an option is out of range, or the hook does not fit the dataset, the model or the loop.
    """

    priority = 'NORMAL'

    def __init__(self,
                 extract: dict,
                 interval: int = 5,
                 begin: int = 0,
                 num_clusters: Optional[int] = None,
                 num_neighbors: Optional[int] = None,
                 strategy: str = 'center_wise',
                 exact: bool = True,
                 nprobe: int = 32,
                 encoder: str = 'momentum',
                 layer: str = 'embedding',
                 compare: Sequence[str] = ()) -> None:
        for name, value, choices in [('strategy', strategy, STRATEGIES), ('encoder', encoder, ('momentum', 'query')),
                                     ('layer', layer, ('embedding', 'pooled')),
                                     *(('compare', rival, STRATEGIES) for rival in compare)]:
            if value not in choices:
                raise ConfigError(f'{name} of CenterWiseNeighborHook must be one of {", ".join(choices)}, '
                                  f'not {value!r}.')
        if interval < 1 or begin < 0:
            raise ConfigError('CenterWiseNeighborHook needs interval >= 1 and begin >= 0, '
                              f'not {interval} and {begin}.')
        self.extract = dict(extract)
        self.interval = interval
        self.begin = begin
        self.num_clusters = num_clusters
        self.num_neighbors = num_neighbors
        self.strategy = strategy
        self.exact = exact
        self.nprobe = nprobe
        self.encoder = encoder
        self.layer = layer
        self.compare = tuple(compare)
        self._loaded_table: Optional[dict] = None
        self._labels: Optional[np.ndarray] = None

    def before_train(self, runner: Runner) -> None:
        """Check that all belongs together, print the sizes, and take up the table of a resumed run."""
        load_faiss()  # missing: say so before the first extraction
        _clim(runner)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ConfigError('CenterWiseNeighborHook refreshes between epochs: use '
                              'train_cfg=dict(type="EpochBasedTrainLoop", ...).')
        dataset = _pairs(runner)
        self.sizes = neighbor_sizes(len(dataset), self.num_clusters, self.num_neighbors)
        runner.logger.info(
            f'Neighbours of {len(dataset)} images: {self.sizes.num_clusters} clusters'
            f'{" (from the number of images)" if self.num_clusters is None else ""}, '
            f'{self.sizes.num_neighbors} neighbours{" (likewise)" if self.num_neighbors is None else ""}, '
            f'at most {dataset.table.num_positives} positives by {self.strategy}, '
            f'refreshed every {self.interval} epochs from epoch {self.begin} on.')
        if dist.is_main_process():
            self._labels = labels_of(dataset.dataset)
        if runner.epoch > 0 and self._loaded_table is not None:  # resumed, not merely started from other weights
            try:
                dataset.table.load_state_dict(self._loaded_table)
            except ValueError as error:
                raise ConfigError(f'The checkpoint belongs to another training set: {error}') from error

    def before_train_epoch(self, runner: Runner) -> None:
        """Refresh if it is time; no worker draws between two epochs."""
        dataset = _pairs(runner)
        dataset.randomness.start_epoch(runner.seed, runner.epoch)
        since_begin = runner.epoch - self.begin
        never = dataset.table.version == 0  # a run that goes on from a checkpoint without a table
        if since_begin >= 0 and (since_begin % self.interval == 0 or never):
            self._refresh(runner, dataset)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the table into the checkpoint."""
        checkpoint['neighbor_table'] = _pairs(runner).table.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's table until the training set is known to be there."""
        self._loaded_table = checkpoint.get('neighbor_table')

    def _refresh(self, runner: Runner, dataset: NeighborPairs) -> None:
        start = time.perf_counter()
        features = self._extract(_clim(runner), dataset)
        seconds_extract = time.perf_counter() - start
        positives = torch.empty(len(dataset), dataset.table.num_positives, dtype=torch.int32)
        if features is not None:  # rank 0
            result = refresh(
                features,
                self.sizes,
                num_positives=dataset.table.num_positives,
                strategy=self.strategy,
                exact=self.exact,
                nprobe=self.nprobe,
                seed=refresh_seed(runner.seed, runner.epoch),
                labels=self._labels,
                compare=self.compare,
                progress=True)
            positives.copy_(torch.from_numpy(result.positives))
            report_refresh(
                runner, dict(seconds_extract=seconds_extract, **result.report), version=dataset.table.version + 1)
        dist.broadcast(positives, group=host_group())
        dataset.table.publish(positives.numpy())

    def _extract(self, model: CLIM, dataset: NeighborPairs) -> Optional[np.ndarray]:
        options = dict(self.extract)
        views = SingleViews(dataset.dataset, options.pop('pipeline'))
        # Each process has batch statistics of its own [moco]; features must come from one encoder.
        for buffer in model.encoder(self.encoder).buffers():
            dist.broadcast(buffer)
        was_training = model.training
        model.eval()
        try:
            return extract_features(
                partial(model.embed_batch, encoder=self.encoder, layer=self.layer), views, **options)
        finally:
            model.train(was_training)


def refresh_seed(seed: int, epoch: int) -> int:
    """A seed for the refresh of one epoch, in the signed 32 bits that faiss takes."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)


def _pairs(runner: Runner) -> NeighborPairs:
    dataset = runner.train_dataloader.dataset
    if not isinstance(dataset, NeighborPairs):
        raise ConfigError('CenterWiseNeighborHook fills the table of a NeighborPairs dataset, but the training set is '
                          f'a {type(dataset).__name__}: wrap it, as configs/_base_/datasets does, or take the hook out '
                          'of custom_hooks.')
    return dataset


def _clim(runner: Runner) -> CLIM:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not isinstance(model, CLIM):
        raise ConfigError('CenterWiseNeighborHook takes features from a CLIM model, but the model is a '
                          f'{type(model).__name__}: set model.type to "CLIM", or take the hook out of custom_hooks.')
    return model
