"""Features of the whole training set, or of some of it, by all processes together."""

from collections.abc import Callable, Iterator
from typing import Optional

import numpy as np
import torch
from mmengine import dist
from torch.utils.data import DataLoader

from clim_mm.datasets import SingleViews, collate_views
from clim_mm.distributed import host_group
from clim_mm.distributed.gather_by_id import gather_by_id
from clim_mm.errors import TrainingError, some_of
from clim_mm.progress import progress_bar
from clim_mm.runtime.loader_watch import watched

BATCH_SIZE, NUM_WORKERS = 64, 4  # where nothing else is set [ours]


class ShardedBatches:
    """Fixed batches of consecutive sample ids, dealt out to the processes in turn.

    Where a batch begins does not depend on the number of processes: a convolution may round differently in a
    batch of another size, and clustering would amplify it.

    Args:
        num_samples: N.
        batch_size: Of every batch but the last.
        rank, world_size: Which of how many processes.
        ids: (N,) sample ids; None for those from 0 to N - 1.
    """

    def __init__(self, num_samples: int, batch_size: int, rank: int, world_size: int,
                 ids: Optional[np.ndarray] = None) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self._ids = range(num_samples) if ids is None else ids.tolist()
        self._starts = range(rank * batch_size, num_samples, world_size * batch_size)

    @property
    def num_own(self) -> int:
        """Samples of this process."""
        return sum(min(self.batch_size, self.num_samples - start) for start in self._starts)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[int]]:
        for start in self._starts:
            yield list(self._ids[start:start + self.batch_size])


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
        batch_size: Images in a batch.
        num_workers: Of this process's DataLoader; they end with the extraction.
        progress: Show a bar with the time left, on rank 0.
        ids: (n,) int64 ids of the images that are wanted, the same on every process; None for all.

    Returns:
        (N, d) float32 on rank 0, None on the others. The rows of unreadable images, and of those that are not wanted,
        are NaN.

    Raises:
        ConfigError: If the dataset's pipeline gives no packed images.
        TrainingError: If a feature is not finite, with the ids.
        RuntimeError: If the id of a readable image arrives not exactly once.
    """
    if dataset.quarantine is not None:
        dataset.quarantine.share()
    rank, world_size = dist.get_dist_info()
    wanted = len(dataset) if ids is None else len(ids)
    batches = ShardedBatches(wanted, batch_size, rank, world_size, ids)
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=collate_views)
    own_ids, own_rows = torch.empty(batches.num_own, dtype=torch.int64), torch.empty(batches.num_own, 0)
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
                own_rows = torch.empty(batches.num_own, features.shape[1])
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
