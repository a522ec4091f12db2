"""All features compared with all on the CPU, each distance computed once for both of its features [ours]."""

import time
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import torch

from clim_mm.progress import progress_bar

from .faiss_backend import load_faiss

_ROWS = 1024  # of a block: the distances of two stay near the processor, and Python's part is still small
_TILES_OF_A_THREAD = 8  # before the limits of the rows are lowered
_MORE = 16  # candidates than neighbours, since rounded distances mistake the order of near ones
_ROWS_OF_A_PART = 64  # whose candidates stay in the cache
_MEASURED_ROWS = 2048
_PARTS_OF_A_NORM = {torch.bfloat16: 3, torch.float32: 1}  # that add up to a float32
_BITS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}  # integers as long as the numbers
_ID_BITS = np.uint64(32)
_NONE = np.uint64(0x7FFFFFFFFFFFFFFF)  # beyond every distance


class RunningNearest:
    """The ``num`` nearest others of each of ``rows`` (at most 65,536), while more and more are compared with them.

    Only what is below ``limit``, (rows,) bits of distances of the type ``integer``, is of use.
    """

    def __init__(self, rows: int, num: int, integer: np.dtype) -> None:
        self._integer = np.iinfo(integer)
        self._keys: np.ndarray = np.full((rows, num), _NONE)  # the distance, then the id: sorted by distance as numbers
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._num_waiting = 0
        self.limit = np.full(rows, self._integer.max, dtype=integer)

    def add(self, rows: np.ndarray, ids: np.ndarray, bits: np.ndarray) -> None:
        """Take in others: (n,) rows of which each is another, their int32 ids, and the bits of their distances."""
        keys = np.maximum(bits, 0).astype(np.uint64) << _ID_BITS | ids.astype(np.uint64)
        self._waiting.append((rows.astype(np.uint16), keys))
        self._num_waiting += len(rows)
        if self._num_waiting > self._keys.size // 2:  # seldom, since each time all rows are gone through
            self.settle()

    def settle(self) -> None:
        """Keep the nearest, and lower the limits."""
        if not self._num_waiting:
            return
        rows, keys = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting, self._num_waiting = [], 0
        order = np.argsort(rows, kind='stable')
        rows, counts = rows[order], np.bincount(rows, minlength=len(self._keys))
        num = self._keys.shape[1]
        table = np.full((len(self._keys), num + counts.max()), _NONE)
        table[:, :num] = self._keys
        table[rows, num + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)] = keys[order]
        table.partition(num - 1, axis=1)
        self._keys = table[:, :num].copy()
        bits = np.minimum(self._keys[:, -1] >> _ID_BITS, np.uint64(self._integer.max)).astype(self.limit.dtype)
        # Distances below zero are zero and a rounding: none of them is nearer than another.
        self.limit = np.where(bits == 0, self._integer.min, bits).astype(self.limit.dtype)

    def ids(self) -> np.ndarray:
        """(rows, num) int32, in no order, -1 = none."""
        self.settle()
        return np.where(self._keys == _NONE, -1, self._keys.astype(np.uint32).view(np.int32))


def rounded_with_norms(features: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(n, d + norms): rounded features, ones, and half their squared norms in parts that lose nothing."""
    parts, rest = [], 0.5 * features.square().sum(dim=1)
    for _ in range(_PARTS_OF_A_NORM[dtype]):
        parts.append(rest.to(dtype))
        rest = rest - parts[-1].float()
    norms = torch.stack(parts, dim=1)
    return torch.cat([features.to(dtype), torch.ones_like(norms), norms], dim=1)


def half_distances(rounded: torch.Tensor, others: torch.Tensor) -> np.ndarray:
    """(n, m) bits of half the squared distances between two of :func:`rounded_with_norms`, in the order of the numbers.

    Except that those below zero come first, in any order.
    """
    num_norms = _PARTS_OF_A_NORM[rounded.dtype]
    features, ones, norms = rounded.split([rounded.shape[1] - 2 * num_norms, num_norms, num_norms], dim=1)
    return (torch.cat([-features, norms, ones], dim=1) @ others.T).view(_BITS[rounded.dtype]).numpy()


class SymmetricSearch:
    """A search by rounded features; what it finds is put in order by float32.

    faiss's exact search computes the distance of i and j for i and again for j, and nearly all of its time goes there.
    The (N, d) float32 features are rounded to ``dtype``, ``torch.bfloat16`` or ``torch.float32``; they are centred
    first, which moves no distance, so that the rounding is small beside the distances.
    """

    def __init__(self, features: np.ndarray, k: int, dtype: torch.dtype) -> None:
        self._features = features
        self._k = k
        # At random, or the candidates of a row would come from few blocks, many at once: more is put in order then.
        order = np.random.default_rng(0).permutation(len(features)).astype(np.int32)
        self._ids = np.split(order, range(_ROWS, len(order), _ROWS))
        mean = features.mean(axis=0)
        self._rounded = [rounded_with_norms(torch.from_numpy(features[ids] - mean), dtype) for ids in self._ids]
        integer = np.dtype(str(_BITS[dtype]).removeprefix('torch.'))
        self._near = {i: RunningNearest(len(ids), k + _MORE, integer) for i, ids in enumerate(self._ids)}

    def neighbors(self, progress: bool = False) -> np.ndarray:
        """(N, k) int32, nearest first, -1 = none. To be called once."""
        found = np.empty((len(self._features), self._k), dtype=np.int32)
        num_threads = load_faiss().omp_get_max_threads()
        # Each product is of one thread, which goes on with it: what follows would run on one core otherwise.
        with ThreadPoolExecutor(num_threads, initializer=load_faiss().omp_set_num_threads, initargs=(1, )) as pool, \
                progress_bar(total=len(found), desc='search', unit='image', show=progress) as bar:
            list(pool.map(self._compare_within, range(len(self._ids))))
            sorting = []
            for i, ids in enumerate(self._ids):
                self._compare_with_later(i, num_threads * _TILES_OF_A_THREAD, pool)
                sorting.append(pool.submit(self._sort, ids, self._near.pop(i).ids(), found))
                bar.update(len(ids))
            for part in sorting:
                part.result()
        return found

    def _compare_within(self, i: int) -> None:
        distances = half_distances(self._rounded[i], self._rounded[i])
        np.fill_diagonal(distances, np.iinfo(distances.dtype).max)
        place = min(self._k + _MORE, len(distances)) - 1
        near_enough = distances <= np.partition(distances, place, axis=1)[:, place, None]
        np.fill_diagonal(near_enough, False)
        row, column = np.divmod(np.flatnonzero(near_enough), len(distances))  # five times as fast as np.nonzero
        self._near[i].add(row, self._ids[i][column], distances[row, column])
        self._near[i].settle()

    def _compare_with_later(self, i: int, at_once: int, pool: Executor) -> None:

        def compare(j: int, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """Give block j its candidates, and return those of block i."""
            distances, near = half_distances(self._rounded[i], self._rounded[j]), self._near[j]
            near_enough = distances < limit[:, None]
            near_enough |= distances < near.limit
            places = np.flatnonzero(near_enough)
            distance = distances.reshape(-1)[places]
            row, column = np.divmod(places, distances.shape[1])
            of_column = distance < near.limit[column]
            near.add(column[of_column], self._ids[i][row[of_column]], distance[of_column])
            of_row = distance < limit[row]
            return row[of_row], self._ids[j][column[of_row]], distance[of_row]

        for start in range(i + 1, len(self._ids), at_once):
            others = range(start, min(start + at_once, len(self._ids)))
            # The limit as it is now, whatever the threads' timing: the same candidates each time.
            for candidates in pool.map(compare, others, [self._near[i].limit] * len(others)):
                self._near[i].add(*candidates)

    def _sort(self, ids: np.ndarray, candidates: np.ndarray, found: np.ndarray) -> None:
        """Put the k nearest candidates of each feature into ``found``, by distance in float32, -1 last."""
        for start in range(0, len(ids), _ROWS_OF_A_PART):
            part = slice(start, start + _ROWS_OF_A_PART)
            others = torch.from_numpy(self._features[candidates[part]])
            own = torch.from_numpy(self._features[ids[part]])[:, None]
            distances = (others - own).square_().sum(dim=2).numpy()
            distances[candidates[part] < 0] = np.inf
            nearest = np.argsort(distances, axis=1, kind='stable')[:, :self._k]
            found[ids[part]] = np.take_along_axis(candidates[part], nearest, axis=1)


def dtypes_by_speed(dim: int) -> list[torch.dtype]:
    """The types that d-dimensional features may be rounded to: bfloat16 first, where this processor is faster by it."""

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(_MEASURED_ROWS, dim, dtype=dtype)
        torch.mm(matrix, matrix.T)  # starts threads
        start = time.perf_counter()
        torch.mm(matrix, matrix.T)
        return time.perf_counter() - start

    faster = seconds(torch.bfloat16) < seconds(torch.float32)
    return [torch.bfloat16, torch.float32] if faster else [torch.float32]
