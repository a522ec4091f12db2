"""Features of images, by all processes together: extracted by a model, or from the bank of keys."""

import math
import os.path as osp
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

import numpy as np
import torch
from mmengine import dist
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from clim_mm.checks import MOST_WORKERS, check_bool, check_choice, check_keys, check_list, check_whole
from clim_mm.datasets import Quarantine, SingleViews, collate_views
from clim_mm.distributed import host_group
from clim_mm.distributed.gather_by_id import gather_by_id
from clim_mm.distributed.loader_watch import watched
from clim_mm.errors import CheckpointError, TrainingError, UserError, some_of
from clim_mm.neighbors.key_bank import KeyBank
from clim_mm.progress import progress_bar

BATCH_SIZE, NUM_WORKERS = 64, 4  # where nothing else is set [ours]


def sharded_batches(num_samples: int, batch_size: int, rank: int, world_size: int,
                    ids: Optional[np.ndarray] = None) -> list[Any]:
    """Batches of consecutive sample ids (``ids``, by default 0 to N - 1), dealt out to the processes in turn.

    They are the same for any number of processes, since convolutions may round differently in a batch of another size.
    """
    samples = range(num_samples) if ids is None else ids.tolist()
    starts = range(rank * batch_size, num_samples, world_size * batch_size)
    return [samples[start:start + batch_size] for start in starts]


def extract_features(encode: Callable[[dict], torch.Tensor], dataset: SingleViews, batch_size: int = BATCH_SIZE,
                     num_workers: int = NUM_WORKERS, progress: bool = True,
                     ids: Optional[np.ndarray] = None) -> Optional[np.ndarray]:
    """Run ``encode`` over a dataset, each process on its share, and collect the rows by sample id.

    Args:
        encode: From a batch, ``inputs`` and ``sample_idx`` (B,), to (B, d) float features; it runs in inference mode.
        dataset: Unreadable images are added to its quarantine, if it has one, on every process.
        ids: (n,) int64 ids of the images that are wanted, the same on every process; None for all.

    Returns:
        (N, d) float32 on rank 0, None on the others. The rows of unreadable and unwanted images are NaN.
    """
    encoding = Encoding(encode, dataset, batch_size, num_workers, progress, ids)
    own_ids, own_rows, came = torch.empty(encoding.num_own, dtype=torch.int64), torch.empty(encoding.num_own, 0), 0
    for ids_of_batch, features in encoding:
        if came == 0:  # only now is the dimension known
            own_rows = torch.empty(encoding.num_own, features.shape[1])
        place = slice(came, came + len(features))
        own_ids[place], own_rows[place], came = ids_of_batch, features, place.stop
    wanted = len(dataset) if ids is None else len(ids)
    return gather_by_id(own_ids[:came], own_rows[:came], len(dataset), len(dataset) - wanted + encoding.finish())


class Encoding:
    """A pass of this process over its share of a dataset: iterate over it, then ``finish``. Arguments as above."""

    def __init__(self, encode: Callable[[dict], torch.Tensor], dataset: SingleViews, batch_size: int, num_workers: int,
                 progress: bool = True, ids: Optional[np.ndarray] = None) -> None:
        if dataset.quarantine is not None:
            dataset.quarantine.share()
        rank, world_size = dist.get_dist_info()
        batches = sharded_batches(len(dataset) if ids is None else len(ids), batch_size, rank, world_size, ids)
        self.num_own = sum(map(len, batches))
        self._encode = encode
        self._quarantine = dataset.quarantine
        self._loader = DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=collate_views)
        self._shows = progress and rank == 0
        self._missing: list[Any] = []
        self._broken: list[int] = []

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Ids, (B,) int64, and features, (B, d) float32, of the images of each batch that can be read."""
        for batch, without_view in progress_bar(
                watched(self._loader), total=len(self._loader), desc='extract', unit='batch', show=self._shows):
            self._missing += without_view
            if batch is None:
                continue
            with torch.inference_mode():
                features = self._encode(batch).float().cpu()
            self._broken += batch['sample_idx'][~torch.isfinite(features).all(dim=1)].tolist()
            yield batch['sample_idx'], features

    def finish(self) -> int:
        """Tell every process which images could not be read, and give their number. All processes call it together.

        Raises:
            TrainingError: If a feature is not finite.
        """
        if self._quarantine is not None:
            self._quarantine.add({view.sample_idx: view.entry for view in self._missing if view.entry is not None})
            self._quarantine.share()
        broken = sorted(sum(dist.all_gather_object(self._broken, group=host_group()), []))
        if broken:
            raise TrainingError(f'The features of {len(broken)} images are not finite (samples {some_of(broken)}): the '
                                'weights have diverged, and the table stays as it was. Resume from a checkpoint with a '
                                'lower learning rate.')
        num_missing = torch.tensor([len(self._missing)])
        dist.all_reduce(num_missing, group=host_group())
        return int(num_missing)


@dataclass(frozen=True)
class Extraction:
    """Features by the ``encoder`` and ``layer`` of ``CenterWiseNeighborHook``.

    Attributes:
        owner: Name of the hook, for messages.
        settings: ``pipeline`` of the one deterministic view; ``batch_size``, ``num_workers``, ``amp`` and
            ``channels_last``, if given.
    """

    owner: str
    settings: Mapping
    encoder: str
    layer: str

    def __post_init__(self) -> None:
        name = f'extract of {self.owner}'
        check_keys(name, self.settings, ['pipeline'], ['batch_size', 'num_workers', 'amp', 'channels_last'])
        check_list(f'{name}: pipeline', self.settings['pipeline'])
        check_whole(f'{name}: batch_size', self.settings.get('batch_size', 1), least=1)
        check_whole(f'{name}: num_workers', self.settings.get('num_workers', 0), most=MOST_WORKERS)
        check_bool(f'{name}: amp', self.settings.get('amp', False))
        check_bool(f'{name}: channels_last', self.settings.get('channels_last', False))
        check_choice(f'encoder of {self.owner}', self.encoder, ('momentum', 'query'))
        check_choice(f'layer of {self.owner}', self.layer, ('embedding', 'pooled'))

    @property
    def num_workers(self) -> int:
        """Workers of each process's DataLoader."""
        return self.settings.get('num_workers', NUM_WORKERS)

    def encode_by(self, model: Any) -> Callable[[dict], torch.Tensor]:
        """The function from a collated batch to its (B, d) features by the model."""
        options = {name: self.settings.get(name, False) for name in ('amp', 'channels_last')}
        return partial(model.embed_batch, encoder=self.encoder, layer=self.layer, **options)

    def features_of(self, model: Any, views: SingleViews, ids: Optional[np.ndarray] = None) -> Optional[np.ndarray]:
        """L2-normalised features, as of :func:`extract_features`; the model keeps its mode."""
        for buffer in model.encoder(self.encoder).buffers():  # each process has batch statistics of its own [moco]
            dist.broadcast(buffer)
        was_training = model.training
        model.eval()
        try:
            batch_size = self.settings.get('batch_size', BATCH_SIZE)
            return extract_features(self.encode_by(model), views, batch_size, self.num_workers, ids=ids)
        finally:
            model.train(was_training)


def open_bank(runner: Runner, num_images: int, dim: int, identity: Optional[str] = None,
              num_averaged: int = 1) -> Optional[KeyBank]:
    """The bank in ``key_bank`` of the work dir, on rank 0; None on the others. All processes call it together.

    Args:
        identity: Identity of the bank that belongs to a resumed run's checkpoint; any other gives way to an empty one.
    """
    bank, refusal = None, ['']
    if dist.is_main_process():
        try:
            bank = _open(runner, num_images, dim, identity, num_averaged)
        except UserError as error:  # the others must not wait for this process
            refusal = [str(error)]
    dist.broadcast_object_list(refusal, group=host_group())
    if refusal[0]:
        raise CheckpointError(refusal[0])
    return bank


def _open(runner: Runner, num_images: int, dim: int, identity: Optional[str], num_averaged: int) -> KeyBank:
    folder = osp.join(runner.work_dir, 'key_bank')
    if identity is not None:
        if KeyBank.exists(folder):
            bank = KeyBank.open(folder, num_images, dim, num_averaged)
            if bank.identity == identity:
                bank.forget_after(runner.epoch)  # the keys of the epoch that was broken off stay
                return bank
        runner.logger.warning(f'The key bank of the checkpoint is not in {folder}: it begins empty.')
    return KeyBank.create(folder, num_images, dim, num_averaged)


def banked_features(bank: Optional[KeyBank], epoch: int, quarantine: Quarantine,
                    extract: Callable[[Optional[np.ndarray]], Optional[np.ndarray]],
                    logger: Any) -> tuple[Optional[np.ndarray], dict[str, float]]:
    """Features of all images, extracted only where the bank has no key. All processes call it, with one quarantine.

    Args:
        epoch: That is about to begin.
        extract: From ids, (n,) int64 ascending, or None for all images, to (N, C) float32 features on rank 0, of which
            the rows of these images count; None on the others.

    Returns:
        (N, C) float32, L2-normalised, on rank 0, None on the others; the rows of unreadable images are NaN. And figures
        for the report: ``seconds_extract`` and ``seconds_bank``, ``bank_never_seen``, the share of the readable images
        that were extracted, and ``bank_age``, the mean number of epochs since the others' keys were computed.
    """
    message: list[Any] = [None]
    start = time.perf_counter()
    if bank is not None:
        unseen, readable = bank.never_seen(), quarantine.readable
        if unseen[readable].any():
            logger.info(f'The key bank has no key of {unseen[readable].sum()} of {len(readable)} readable images, '
                        'since no step has trained on them yet: their features are extracted.')
        # All of them: as without a bank, in the same batches.
        message = [None if unseen[readable].all() else readable[unseen[readable]]]
    dist.broadcast_object_list(message, group=host_group())
    ids = message[0]
    before = time.perf_counter()
    extracted = extract(ids) if ids is None or len(ids) else None
    seconds_extract = time.perf_counter() - before
    if bank is None:
        return None, {}
    features = bank.features()
    if extracted is not None:
        np.copyto(features, extracted, where=unseen[:, None])  # without a copy of the rows between
    held = np.ones(len(features), dtype=bool)
    held[quarantine.readable] = False  # also those that the extraction has come upon
    features[held] = np.nan
    ages = epoch - bank.epochs[~unseen & ~held]
    report = dict(
        seconds_extract=seconds_extract,
        seconds_bank=time.perf_counter() - start - seconds_extract,
        bank_never_seen=float(unseen[readable].mean()),
        bank_age=float(ages.mean()) if len(ages) else math.nan)
    return features, report
