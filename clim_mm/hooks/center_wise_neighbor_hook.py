"""Hook that rebuilds the neighbour table every `interval` epochs."""

import time
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checks import check_bool, check_choice, check_number, check_whole
from clim_mm.datasets import SingleViews, labels_of
from clim_mm.distributed import host_group, unwrapped
from clim_mm.errors import ConfigError
from clim_mm.evaluation.extract import Extraction, banked_features, open_bank
from clim_mm.evaluation.features import extract_settings
from clim_mm.neighbors import STRATEGIES
from clim_mm.neighbors.defaults import neighbor_sizes
from clim_mm.neighbors.faiss_backend import load_faiss
from clim_mm.neighbors.key_bank import KeyBank
from clim_mm.neighbors.refresh import Refresh, refresh, refresh_seed
from clim_mm.protocols import Embeds, HasQueues, TakesNeighbors
from clim_mm.registry import HOOKS

from .refresh_reports import report_refresh
from .runner_parts import check_epochs, dataset_with, model_with, part_of_checkpoint, resumed
from .training_set_hooks import list_quarantine

_NAME = 'CenterWiseNeighborHook'


@HOOKS.register_module()
class CenterWiseNeighborHook(Hook):
    """Rebuilds the neighbour table every ``interval`` epochs: extract, cluster, search, select, publish [paper A.2].

    The table goes into every checkpoint and comes back on resume. After a refresh every hook that has a method
    ``after_neighbor_refresh(runner, features, found)`` is called on all processes, with the (N, d) float32 features and
    the :class:`~clim_mm.neighbors.refresh.Refresh` on rank 0, None and None on the others.

    Args:
        extract: See :class:`~clim_mm.evaluation.extract.Extraction`. None takes the config's ``extract``.
        interval: Epochs from one refresh to the next; 5 [paper A.2].
        begin: Epoch of the first refresh, counted from 0; no positives until then. 0 [ours].
        num_clusters, num_neighbors: m and k; 10,000 and 40 on ImageNet [paper A.2]. None derives them from the set's
            size [ours].
        strategy: How positives are chosen [paper 3.2.1, Table 6].
        whiten: Cluster and compare features whitened with this ``floor``, as in
            :func:`~clim_mm.neighbors.whitening.whitened`; None, as they are [paper].
        surest: Leave positives to this share of the images, those most similar to theirs, above 0; 1, all [paper]. The
            others are trained as by MoCo.
        exact: k-means on all images, and each compared with all. False, for large sets: k-means on samples, and a
            search among the images of the nearest centres. None is True up to 100,000 images [ours].
        nprobe, least_recall: If not exact, as in :func:`~clim_mm.neighbors.ivf.ivf_search`.
        encoder, layer: ``momentum`` [csml] or ``query``; ``embedding`` [paper 3.2.1] or ``pooled`` [csml].
        feature_source: ``extract`` takes the features of all images anew [paper A.2], ``bank`` the keys that training
            computed of each image, and extracts only images without one [ours].
        bank_average: About how many of its last keys the feature of an image is the mean of, if from the bank [ours].
        compare: Strategies whose purity is logged beside that of ``strategy``, where the dataset has labels.
    """

    priority = 'NORMAL'
    checkpoint_part = 'neighbors'

    def __init__(self,
                 extract: Optional[dict] = None,
                 interval: int = 5,
                 begin: int = 0,
                 num_clusters: Optional[int] = None,
                 num_neighbors: Optional[int] = None,
                 strategy: str = 'center_wise',
                 whiten: Optional[float] = None,
                 surest: float = 1.0,
                 exact: Optional[bool] = None,
                 nprobe: int = 16,
                 least_recall: float = 0.99,
                 encoder: str = 'momentum',
                 layer: str = 'embedding',
                 feature_source: str = 'extract',
                 bank_average: int = 10,
                 compare: Sequence[str] = ()) -> None:
        self.extraction: Any = None if extract is None else Extraction(_NAME, extract, encoder, layer)
        for name, whole in dict(interval=interval, nprobe=nprobe, bank_average=bank_average,
                                num_clusters=num_clusters, num_neighbors=num_neighbors).items():
            check_whole(f'{name} of {_NAME}', whole, 1, optional=name in ('num_clusters', 'num_neighbors'))
        check_whole(f'begin of {_NAME}', begin, 0)
        check_bool(f'exact of {_NAME}', exact, optional=True)
        check_number(f'least_recall of {_NAME}', least_recall, least=0, most=1)
        check_number(f'whiten of {_NAME}', whiten, above=0, optional=True)
        check_number(f'surest of {_NAME}', surest, above=0, most=1)
        self.compare = tuple(compare) if isinstance(compare, (tuple, list)) else (compare, )
        check_choice(f'feature_source of {_NAME}', feature_source, ('extract', 'bank'))
        check_choice(f'strategy of {_NAME}', strategy, STRATEGIES)
        for rival in self.compare:
            check_choice(f'compare of {_NAME}', rival, STRATEGIES)
        if feature_source == 'bank' and (encoder, layer) != ('momentum', 'embedding'):
            raise ConfigError(f'feature_source="bank" of {_NAME} has the momentum encoder\'s embeddings, not those of '
                              f'encoder={encoder!r}, layer={layer!r}: leave these two at their defaults.')
        self.interval = interval
        self.begin = begin
        self.num_clusters = num_clusters
        self.num_neighbors = num_neighbors
        self.strategy = strategy
        self.whiten = whiten
        self.surest = surest
        self.exact = exact
        self.nprobe = nprobe
        self.least_recall = least_recall
        self.encoder = encoder
        self.layer = layer
        self.feature_source = feature_source
        self.bank_average = bank_average
        self._loaded: Optional[dict] = None
        self._centroids: Optional[torch.Tensor] = None  # (m, C) of the last refresh, on rank 0
        self._labels: Optional[np.ndarray] = None
        self._bank: Optional[KeyBank] = None  # on rank 0

    def before_train(self, runner: Runner) -> None:
        """Check that all belongs together, print the sizes, and restore the table of a resumed run."""
        load_faiss()  # missing: say so before the first extraction
        if self.extraction is None:
            self.extraction = Extraction(_NAME, extract_settings(runner.cfg), self.encoder, self.layer)
        model = model_with(runner, Embeds, _NAME)
        check_epochs(runner, _NAME)
        dataset = dataset_with(runner, TakesNeighbors, _NAME)
        if len(runner.train_dataloader) == 0:
            raise ConfigError(f'{len(dataset)} images are fewer than one batch on each of {dist.get_world_size()} '
                              'process(es), so that nothing would be trained: lower train_dataloader.batch_size.')
        self.sizes = neighbor_sizes(len(dataset), self.num_clusters, self.num_neighbors)
        runner.logger.info(
            f'Neighbours of {len(dataset)} images: {self.sizes.num_clusters} clusters, {self.sizes.num_neighbors} '
            f'neighbours, at most {dataset.table.num_positives} positives by {self.strategy}, refreshed every '
            f'{self.interval} epochs from epoch {self.begin} on.')
        if dist.is_main_process():
            self._labels = labels_of(dataset.dataset)
        loaded = self._loaded if resumed(runner) else None
        if loaded is not None:
            with part_of_checkpoint('neighbours'):
                if loaded['centroids'] is not None:
                    self._centroids = loaded['centroids'].cpu()  # a checkpoint is loaded to where the model is
                dataset.table.load_state_dict(loaded['table'])
        if self.feature_source == 'bank':
            queues = model_with(runner, HasQueues, 'feature_source="bank"').queues
            self._bank = open_bank(runner, len(dataset), model.embedding_dim, (loaded or {}).get('bank'),
                                   self.bank_average)
            if self._bank is not None:
                [*queues.values()][-1].listeners.append(self._bank.add)

    def before_train_epoch(self, runner: Runner) -> None:
        """Refresh if it is time; no worker draws between two epochs."""
        dataset, since_begin = runner.train_dataloader.dataset, runner.epoch - self.begin
        never = dataset.table.version == 0  # a run that goes on from a checkpoint without a table
        if since_begin >= 0 and (since_begin % self.interval == 0 or never):
            self._refresh(runner, dataset)
        if self._bank is not None:
            self._bank.epoch = runner.epoch

    def after_train(self, runner: Runner) -> None:
        """Leave the bank complete."""
        if self._bank is not None:
            self._bank.sync()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the table and the centres into the checkpoint, and which bank belongs to it."""
        table = runner.train_dataloader.dataset.table
        checkpoint['neighbors'] = dict(table=table.state_dict(), centroids=self._centroids)
        if self._bank is not None:
            self._bank.sync()
            checkpoint['neighbors']['bank'] = self._bank.identity

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's table until the training set is known to be there."""
        self._loaded = checkpoint.get('neighbors')

    def _refresh(self, runner: Runner, dataset: Any) -> None:
        features, report = self._features(runner, dataset)
        list_quarantine(dataset.quarantine, runner.work_dir)
        positives = torch.empty(len(dataset), dataset.table.num_positives, dtype=torch.int32)
        found = None
        if features is not None:  # rank 0
            torch.cuda.empty_cache()  # faiss takes memory of its own there
            found = self.find(runner, features)
            positives.copy_(torch.from_numpy(found.positives))
            report_refresh(runner, dict(**report, **found.report), version=dataset.table.version + 1)
        dist.broadcast(positives, group=host_group())
        dataset.table.publish(positives.numpy())
        runner.call_hook('after_neighbor_refresh', features=features, found=found)
        if found is not None:  # only now: a hook that calls `find` to compare begins with the centres that this one had
            self._centroids = torch.from_numpy(found.centroids)

    def _features(self, runner: Runner, dataset: Any) -> tuple[Optional[np.ndarray], dict[str, float]]:
        """Features by ``feature_source``, and figures for the report, on rank 0."""
        model = unwrapped(runner)
        views = SingleViews(dataset.dataset, self.extraction.settings['pipeline'], dataset.quarantine)
        if self.feature_source == 'bank':
            dataset.quarantine.share()
            return banked_features(self._bank, runner.epoch, dataset.quarantine,
                                   lambda ids: self.extraction.features_of(model, views, ids), runner.logger)
        start = time.perf_counter()
        features = self.extraction.features_of(model, views)
        return features, dict(seconds_extract=time.perf_counter() - start)

    def find(self, runner: Runner, features: np.ndarray, seed: Optional[int] = None) -> Refresh:
        """What a refresh at this epoch finds by (N, d) features, on rank 0; it is not published.

        ``seed`` is that of the clustering and of random choices; None takes this refresh's.
        """
        dataset = runner.train_dataloader.dataset
        return refresh(
            features, self.sizes, readable=dataset.quarantine.readable, labels=self._labels,
            previous=dataset.table.positives if dataset.table.version else None,
            num_positives=dataset.table.num_positives, strategy=self.strategy, compare=self.compare,
            whiten=self.whiten, surest=self.surest,
            exact=self.exact, nprobe=self.nprobe, least_recall=self.least_recall,
            start=None if self._centroids is None else self._centroids.numpy(),
            seed=refresh_seed(runner.seed, runner.epoch) if seed is None else seed, progress=True)
