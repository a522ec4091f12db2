"""Rows that several processes have, brought to the first one in the order of their ids."""

from typing import Optional

import numpy as np
import torch
from mmengine import dist

from .process_group import host_group

_MEMORY = 2**28  # bytes of features that are on their way at once [ours]
_BYTES_OF_A_NUMBER, _BYTES_OF_AN_ID = 4, 8


def gather_by_id(ids: torch.Tensor, rows: torch.Tensor, num_samples: int,
                 num_missing: int = 0, memory: int = _MEMORY) -> Optional[np.ndarray]:
    """Bring the processes' rows to rank 0, in the order of their ids, in blocks, so that it holds all rows once.

    Args:
        ids: (n,) int64, of this process.
        rows: (n, d) float32, of this process; (0, 0) if it has none.
        num_samples: N, the ids there are over all processes.
        num_missing: Ids that are known not to come.
        memory: Bytes for the rows of all processes that are on their way at once.

    Returns:
        (N, d) float32 on rank 0, None on the others. The rows of missing ids are NaN.

    Raises:
        RuntimeError: If an id comes more than once, or not as many are missing.
    """
    group, main = host_group(), dist.is_main_process()
    # A process may have no row at all; the dimension comes from one that has.
    most = torch.tensor([len(ids), rows.shape[1]])
    dist.all_reduce(most, op='max', group=group)
    num_rows, dim = most.tolist()
    rows = rows.reshape(len(rows), dim)
    ids_of = dist.gather(_padded(ids, num_rows, -1), group=group)
    if main:
        times = torch.bincount(torch.cat(ids_of) + 1, minlength=num_samples + 1)[1:]  # without what fills up
        features = np.full((len(times), dim), np.nan, dtype=np.float32)
    rows_at_once = _rows_at_once(dim, dist.get_world_size(), memory)
    for start in range(0, num_rows, rows_at_once):
        block = slice(start, min(start + rows_at_once, num_rows))
        rows_of = dist.gather(_padded(rows[block], block.stop - start, 0.0), group=group)
        if main:
            for its_ids, its_rows in zip([of[block] for of in ids_of], rows_of, strict=True):
                features[its_ids[its_ids >= 0].numpy()] = its_rows[its_ids >= 0].numpy()
            del its_rows
        del rows_of  # before the next block comes
    if not main:
        return None
    missing, repeated = int((times == 0).sum()) - num_missing, int((times > 1).sum())
    if len(times) != num_samples or missing or repeated:
        raise RuntimeError(f'Extraction must give each of {num_samples - num_missing} ids once, but {missing} are '
                           f'missing and {repeated} came more than once.')
    return features


def gathering_bytes(num_samples: int, dim: int, processes: int, main: bool = True, memory: int = _MEMORY) -> int:
    """What a process, rank 0 if ``main``, holds at most while ``gather_by_id`` works, its own rows among it."""
    row = _BYTES_OF_A_NUMBER * dim
    own = -(-num_samples // processes)
    rows_at_once = _rows_at_once(dim, processes, memory)
    block = row * min(own, rows_at_once)
    held = own * (row + _BYTES_OF_AN_ID)
    if not main:  # gloo's thread may let go of a block only after the next one is there
        return held + block * min(2, -(-own // rows_at_once))
    # The blocks of all processes lie there twice, as gloo takes them in and as it gives them out, beside the own one; a
    # single process's lies there once, beside the rows of it that count. Of the ids, all and how often each has come.
    blocks = 2 if processes == 1 else 2 * processes + 1
    return held + num_samples * (row + 2 * _BYTES_OF_AN_ID) + blocks * block


def _rows_at_once(dim: int, processes: int, memory: int) -> int:
    return max(1, memory // (_BYTES_OF_A_NUMBER * max(1, dim) * processes))


def _padded(values: torch.Tensor, length: int, fill: float) -> torch.Tensor:
    """``values``, filled up to ``length`` rows: gather wants equal sizes."""
    return torch.cat([values, values.new_full((length - len(values), *values.shape[1:]), fill)])
