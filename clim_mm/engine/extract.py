"""Features of the whole training set, by all processes together."""

from collections.abc import Callable, Iterator
from typing import Optional

import numpy as np
import torch
from mmengine import dist
from torch.utils.data import DataLoader

from clim_mm.datasets import SingleViews, stack_collate
from clim_mm.progress import progress_bar

from .distributed import host_group


class ShardedBatches:
    """Fixed batches of consecutive sample ids, dealt out to the processes in turn.

    Where a batch begins does not depend on the number of processes: a convolution may round differently in a
    batch of another size, and clustering would amplify it.

    Args:
        num_samples: N.
        batch_size: Of every batch but the last.
        rank, world_size: Which of how many processes.
    """

    def __init__(self, num_samples: int, batch_size: int, rank: int, world_size: int) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self._starts = range(rank * batch_size, num_samples, world_size * batch_size)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[int]]:
        for start in self._starts:
            yield list(range(start, min(start + self.batch_size, self.num_samples)))


def extract_features(encode: Callable[[dict], torch.Tensor],
                     dataset: SingleViews,
                     batch_size: int = 64,
                     num_workers: int = 4,
                     progress: bool = True) -> Optional[np.ndarray]:
    """Run ``encode`` over a dataset, each process on its share, and collect the rows by sample id.

    Args:
        encode: From a collated batch to (B, d) float features.
        dataset: A :class:`SingleViews`, whose samples carry their ``sample_idx``.
        batch_size: Images in a batch.
        num_workers: Of this process's DataLoader; they end with the extraction.
        progress: Show a bar with the time left, on rank 0.

    Returns:
        (N, d) float32 on rank 0, None on the others.

    Raises:
        RuntimeError: If an id arrives not exactly once.
    """
    rank, world_size = dist.get_dist_info()
    batches = ShardedBatches(len(dataset), batch_size, rank, world_size)
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=stack_collate)
    ids, rows = [], []
    for batch in progress_bar(loader, desc='extract', unit='batch', show=progress and rank == 0):
        ids += [int(sample.sample_idx.value) for sample in batch['data_samples']]
        rows.append(encode(batch).float().cpu())
    # A process may have had no batch at all; the dimension comes from one that had.
    dim = torch.tensor([rows[0].shape[1] if rows else 0])
    dist.all_reduce(dim, op='max', group=host_group())
    own_rows = torch.cat(rows) if rows else torch.empty(0, int(dim))
    return gather_by_id(torch.tensor(ids, dtype=torch.int64), own_rows, len(dataset))


def gather_by_id(ids: torch.Tensor, rows: torch.Tensor, num_samples: int) -> Optional[np.ndarray]:
    """Bring the processes' rows to rank 0, in the order of their ids.

    Args:
        ids: (n,) int64, of this process.
        rows: (n, d) float32, of this process.
        num_samples: N, the ids there are over all processes.

    Returns:
        (N, d) float32 on rank 0, None on the others.

    Raises:
        RuntimeError: If an id arrives not exactly once.
    """
    group = host_group()
    most = torch.tensor([len(ids)])
    dist.all_reduce(most, op='max', group=group)
    padding = int(most) - len(ids)  # gather wants equal sizes
    all_ids = dist.gather(torch.nn.functional.pad(ids, (0, padding), value=-1), group=group)
    all_rows = dist.gather(torch.nn.functional.pad(rows, (0, 0, 0, padding)), group=group)
    if not dist.is_main_process():
        return None
    ids, rows = torch.cat(all_ids), torch.cat(all_rows)
    ids, rows = ids[ids >= 0], rows[ids >= 0]
    times = torch.bincount(ids, minlength=num_samples)
    if len(times) != num_samples or (times != 1).any():
        raise RuntimeError(f'Extraction must give each of {num_samples} ids once, but {int((times == 0).sum())} are '
                           f'missing and {int((times > 1).sum())} came more than once.')
    features = np.empty((num_samples, rows.shape[1]), dtype=np.float32)
    features[ids.numpy()] = rows.numpy()
    return features
