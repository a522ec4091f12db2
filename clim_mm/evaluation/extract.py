"""Features of images by a model, by all processes together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

import numpy as np
import torch
from mmengine import dist
from torch.utils.data import DataLoader

from clim_mm.checks import MOST_WORKERS, check_bool, check_choice, check_keys, check_list, check_whole
from clim_mm.datasets import SingleViews, collate_views
from clim_mm.distributed import host_group
from clim_mm.distributed.gather_by_id import gather_by_id
from clim_mm.distributed.loader_watch import watched
from clim_mm.errors import TrainingError, some_of
from clim_mm.progress import progress_bar

BATCH_SIZE, NUM_WORKERS = 64, 4  # where nothing else is set [ours]


def sharded_batches(num_samples: int, batch_size: int, rank: int, world_size: int,
                    ids: Optional[np.ndarray] = None) -> list[Any]:
    """Fixed batches of consecutive sample ids (``ids``, by default 0 to N - 1), dealt out to the processes in turn.

    Where a batch begins does not depend on the number of processes: a convolution may round differently in a
    batch of another size, and clustering would amplify it.
    """
    samples = range(num_samples) if ids is None else ids.tolist()
    starts = range(rank * batch_size, num_samples, world_size * batch_size)
    return [samples[start:start + batch_size] for start in starts]


def extract_features(encode: Callable[[dict], torch.Tensor],
                     dataset: SingleViews,
                     batch_size: int = BATCH_SIZE,
                     num_workers: int = NUM_WORKERS,
                     progress: bool = True,
                     ids: Optional[np.ndarray] = None) -> Optional[np.ndarray]:
    """Run ``encode`` over a dataset, each process on its share, and collect the rows by sample id.

    Args:
        encode: From a batch, ``inputs`` and ``sample_idx`` (B,), to (B, d) float features; it runs in inference mode.
        dataset: A :class:`SingleViews`, whose samples carry their ``sample_idx``. If it has a quarantine, images that
            turn out to be unreadable are added to it, on every process.
        ids: (n,) int64 ids of the images that are wanted, the same on every process; None for all.

    Returns:
        (N, d) float32 on rank 0, None on the others. The rows of unreadable images, and of those that are not wanted,
        are NaN.
    """
    if dataset.quarantine is not None:
        dataset.quarantine.share()
    rank, world_size = dist.get_dist_info()
    wanted = len(dataset) if ids is None else len(ids)
    batches = sharded_batches(wanted, batch_size, rank, world_size, ids)
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=collate_views)
    num_own = sum(map(len, batches))
    own_ids, own_rows = torch.empty(num_own, dtype=torch.int64), torch.empty(num_own, 0)
    came, missing, broken = 0, [], []
    batches_come = progress_bar(
        watched(loader), total=len(loader), desc='extract', unit='batch', show=progress and rank == 0)
    for batch, without_view in batches_come:
        missing += without_view
        if batch is not None:
            ids_of_batch = batch['sample_idx']
            with torch.inference_mode():
                features = encode(batch).float().cpu()
            broken += ids_of_batch[~torch.isfinite(features).all(dim=1)].tolist()
            if came == 0:  # only now is the dimension known
                own_rows = torch.empty(num_own, features.shape[1])
            place = slice(came, came + len(features))
            own_ids[place], own_rows[place], came = ids_of_batch, features, place.stop
    if dataset.quarantine is not None:
        dataset.quarantine.add({view.sample_idx: view.entry for view in missing if view.entry is not None})
        dataset.quarantine.share()
    _check_none_broken(broken)
    num_missing = torch.tensor([len(missing)])
    dist.all_reduce(num_missing, group=host_group())
    return gather_by_id(own_ids[:came], own_rows[:came], len(dataset), len(dataset) - wanted + int(num_missing))


def _check_none_broken(own: list[int]) -> None:
    """Raise on every process if a process has a feature that is not finite, with the ids of all of them."""
    broken = sorted(sum(dist.all_gather_object(own, group=host_group()), []))
    if broken:
        raise TrainingError(f'The features of {len(broken)} images are not finite (samples {some_of(broken)}): the '
                            'weights have diverged, and the table stays as it was. Resume from a checkpoint with a '
                            'lower learning rate.')


@dataclass(frozen=True)
class Extraction:
    """Features as ``CenterWiseNeighborHook`` takes them.

    Attributes:
        owner: Name of the hook, for messages.
        settings: ``pipeline`` of the one deterministic view; ``batch_size``, ``num_workers``, ``amp`` and
            ``channels_last``, if given.
        encoder: ``momentum`` or ``query``.
        layer: ``embedding`` or ``pooled``.
    """

    owner: str
    settings: Mapping
    encoder: str
    layer: str

    def __post_init__(self) -> None:
        name = f'extract of {self.owner}'
        check_keys(
            name, self.settings, required=['pipeline'], allowed=['batch_size', 'num_workers', 'amp', 'channels_last'])
        check_list(f'{name}: pipeline', self.settings['pipeline'])
        check_whole(f'{name}: batch_size', self.settings.get('batch_size', 1), least=1)
        check_whole(f'{name}: num_workers', self.settings.get('num_workers', 0), most=MOST_WORKERS)
        for switch in ('amp', 'channels_last'):
            check_bool(f'{name}: {switch}', self.settings.get(switch, False))
        check_choice(f'encoder of {self.owner}', self.encoder, ('momentum', 'query'))
        check_choice(f'layer of {self.owner}', self.layer, ('embedding', 'pooled'))

    @property
    def num_workers(self) -> int:
        """Of each process's DataLoader."""
        return self.settings.get('num_workers', NUM_WORKERS)

    def encode_by(self, model: Any) -> Callable[[dict], torch.Tensor]:
        """The function from a collated batch to its (B, d) features by the model."""
        options = {name: self.settings.get(name, False) for name in ('amp', 'channels_last')}
        return partial(model.embed_batch, encoder=self.encoder, layer=self.layer, **options)

    def features_of(self, model: Any, views: SingleViews, ids: Optional[np.ndarray] = None) -> Optional[np.ndarray]:
        """L2-normalised features, as of :func:`extract_features`; the model keeps its mode."""
        # Each process has batch statistics of its own [moco]; features must come from one encoder.
        for buffer in model.encoder(self.encoder).buffers():
            dist.broadcast(buffer)
        was_training = model.training
        model.eval()
        try:
            return extract_features(self.encode_by(model), views, ids=ids, **loading_settings(self.settings))
        finally:
            model.train(was_training)


def loading_settings(settings: Mapping) -> dict[str, Any]:
    """What ``extract_features`` takes of the settings: ``batch_size`` and ``num_workers``, if given."""
    return {name: settings[name] for name in ('batch_size', 'num_workers') if name in settings}
