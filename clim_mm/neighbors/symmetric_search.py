"""All features compared with all on the CPU, each distance computed once for both of its features [ours]."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import torch

from clim_mm.progress import progress_bar

from .exact_search import without_self
from .faiss_backend import load_faiss, num_gpus

_ROWS = 1024  # of a block: the distances of two stay near the processor, and Python's part is still small
_BYTES_OF_A_PAIR = 4 + 1 + 1  # its distance, and whether it is near for either feature
_TILES_OF_A_THREAD = 8  # before the limits of the rows are lowered
_MORE = 16  # candidates than neighbours, since rounded distances mistake the order of near ones
_ROWS_OF_A_PART = 64  # whose candidates stay in the cache
_MEASURED_ROWS = 2048
_PARTS_OF_A_NORM = {torch.bfloat16: 3, torch.float32: 1}  # that add up to a float32
_BITS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}  # integers as long as the numbers
_ID_BITS = np.uint64(32)
_NONE = np.uint64(0x7FFFFFFFFFFFFFFF)  # beyond every distance
_BYTES_OF_A_CANDIDATE = 8 + (2 + 8) // 2  # its key; besides, half as many wait, each a row and a key


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


class SymmetricSearch:
    """A search by rounded features; what it finds is put in order by float32.

    faiss's exact search computes the distance of i and j for i and again for j, and nearly all of its time goes there.
    The (N, d) float32 features are rounded to ``dtype``, ``torch.bfloat16`` or ``torch.float32``.
    """

    def __init__(self, features: np.ndarray, k: int, dtype: torch.dtype) -> None:
        self._features = features
        self._k = k
        num = len(features)
        # At random, or the candidates of a row would come from few blocks, many at once: more is put in order then.
        self._order = np.random.default_rng(0).permutation(num).astype(np.int32)
        self._rounded = RoundedFeatures(features, self._order, dtype, _ROWS)
        self._blocks = [slice(start, min(start + _ROWS, num)) for start in range(0, num, _ROWS)]
        self._of_thread = threading.local()

    def find(self, ids: np.ndarray) -> np.ndarray:
        """The (n, k) neighbours of at most 65,536 ids as :meth:`find_all` finds them: nearest first, -1 = none."""
        places = np.empty(len(self._order), dtype=np.int64)
        places[self._order] = np.arange(len(self._order))
        left = self._rounded.left(places[ids])
        near = RunningNearest(len(ids), self._k + 1 + _MORE, self._rounded.integer)
        for block in self._blocks:
            distances = self._rounded.bits(left @ self._rounded.right(block))
            row, column = np.nonzero(distances < near.limit[:, None])
            near.add(row, self._order[block][column], distances[row, column])
            near.settle()
        return without_self(self._in_order(ids, near.ids(), 1), ids)

    def find_all(self, memory: int, progress: bool) -> np.ndarray:
        """The (N, k) int32 neighbours of all, with products of ``memory`` bytes."""
        num_threads = _threads(memory)
        near = {i: RunningNearest(len(self._order[block]), self._k + _MORE, self._rounded.integer)
                for i, block in enumerate(self._blocks)}
        neighbors = np.empty((len(self._order), self._k), dtype=np.int32)
        # Each product is of one thread, which goes on with it: what follows would run on one core otherwise.
        with ThreadPoolExecutor(num_threads, initializer=load_faiss().omp_set_num_threads, initargs=(1, )) as pool, \
                progress_bar(total=len(self._order), desc='search', unit='image', show=progress) as bar:
            list(pool.map(self._compare_within, near.values(), self._blocks))
            last: tuple[np.ndarray, Iterator[np.ndarray]] | None = None
            for i, block in enumerate(self._blocks):
                self._compare_with_later(near, i, num_threads * _TILES_OF_A_THREAD, pool)
                if last is not None:  # put in order by the same threads meanwhile
                    neighbors[last[0]] = np.concatenate(list(last[1]))
                ids, candidates = self._order[block], near.pop(i).ids()
                parts = [slice(start, start + _ROWS_OF_A_PART) for start in range(0, len(ids), _ROWS_OF_A_PART)]
                last = ids, pool.map(self._in_order, [ids[p] for p in parts], [candidates[p] for p in parts])
                bar.update(len(ids))
            assert last is not None
            neighbors[last[0]] = np.concatenate(list(last[1]))
        return neighbors

    def _compare_within(self, near: RunningNearest, block: slice) -> None:
        distances = self._product(self._rounded.left(block), block)
        np.fill_diagonal(distances, np.iinfo(distances.dtype).max)
        place = min(self._k + _MORE, len(distances)) - 1
        near_enough = distances <= np.partition(distances, place, axis=1)[:, place, None]
        np.fill_diagonal(near_enough, False)
        row, column = np.divmod(np.flatnonzero(near_enough), len(distances))  # five times as fast as np.nonzero
        near.add(row, self._order[block][column], distances[row, column])
        near.settle()

    def _compare_with_later(self, near: dict[int, RunningNearest], i: int, at_once: int, pool: Executor) -> None:
        ids, left = self._order[self._blocks[i]], self._rounded.left(self._blocks[i])

        def compare(j: int, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """Give block j its candidates, and return those of block i."""
            distances = self._product(left, self._blocks[j])
            near_enough = distances < limit[:, None]
            near_enough |= distances < near[j].limit
            places = np.flatnonzero(near_enough)
            distance = distances.reshape(-1)[places]
            row, column = np.divmod(places, distances.shape[1])
            of_column = distance < near[j].limit[column]
            near[j].add(column[of_column], ids[row[of_column]], distance[of_column])
            of_row = distance < limit[row]
            return row[of_row], self._order[self._blocks[j]][column[of_row]], distance[of_row]

        for start in range(i + 1, len(self._blocks), at_once):
            others = range(start, min(start + at_once, len(self._blocks)))
            # The limit as it is now, whatever the threads' timing: the same candidates each time.
            for candidates in pool.map(compare, others, [near[i].limit] * len(others)):
                near[i].add(*candidates)

    def _product(self, left: torch.Tensor, others: slice) -> np.ndarray:
        """Bits of the distances, in memory of this thread that each product overwrites."""
        if not hasattr(self._of_thread, 'tile'):
            self._of_thread.tile = torch.empty(_ROWS**2, dtype=left.dtype)
        right = self._rounded.right(others)
        tile = self._of_thread.tile[:len(left) * right.shape[1]].view(len(left), -1)
        return self._rounded.bits(torch.mm(left, right, out=tile))

    def _in_order(self, ids: np.ndarray, candidates: np.ndarray, more: int = 0) -> np.ndarray:
        """The k + ``more`` nearest candidates of each feature by distance in float32, nearest first, -1 last."""
        others = torch.from_numpy(self._features[candidates])
        distances = (others - torch.from_numpy(self._features[ids])[:, None]).square_().sum(dim=2).numpy()
        distances[candidates < 0] = np.inf
        nearest = np.argsort(distances, axis=1, kind='stable')[:, :self._k + more]
        return np.take_along_axis(candidates, nearest, axis=1)


def symmetric_search_is_faster(num_features: int, k: int, memory: int) -> bool:
    """Whether :class:`SymmetricSearch` can be faster than faiss's exact search, which computes each distance twice.

    Not with GPUs, nor where ``memory`` holds the products of at most half the cores, nor if one block holds all.
    """
    return (num_gpus() == 0 and num_features > max(_ROWS, k + 1 + _MORE)
            and 2 * _threads(memory) > load_faiss().omp_get_max_threads())


def symmetric_search_bytes(num_features: int, dim: int, k: int) -> int:
    """What :class:`SymmetricSearch` holds at most beside features, products and results."""
    return num_features * (4 * (dim + 2) + _BYTES_OF_A_CANDIDATE * (k + _MORE))


def _threads(memory: int) -> int:
    """Whose products fit, as many as faiss has at most."""
    return min(load_faiss().omp_get_max_threads(), max(1, memory // (_BYTES_OF_A_PAIR * _ROWS**2)))


class RoundedFeatures:
    """Features in a matrix whose product with itself is half the squared distances.

    The features are centred first, which moves no distance, so that the rounding is small beside the distances. Half
    the squared norms are further columns, in parts that lose nothing. The rows follow each other in the ``order`` of
    the ids, and ``rows`` of them are rounded at once.
    """

    def __init__(self, features: np.ndarray, order: np.ndarray, dtype: torch.dtype, rows: int) -> None:
        self.integer = np.dtype(str(_BITS[dtype]).removeprefix('torch.'))
        self._dim = features.shape[1]
        self._parts = _PARTS_OF_A_NORM[dtype]
        self._matrix = torch.empty(len(features), self._dim + 2 * self._parts, dtype=dtype)
        mean = features.mean(axis=0)
        for start in range(0, len(order), rows):
            centred = torch.from_numpy(features[order[start:start + rows]] - mean)
            block = self._matrix[start:start + rows]
            block[:, :self._dim] = centred
            block[:, self._dim:self._dim + self._parts] = 1.0
            rest = 0.5 * centred.square().sum(dim=1)
            for column in range(self._dim + self._parts, block.shape[1]):
                block[:, column] = rest
                rest = rest - block[:, column].float()

    def left(self, rows: slice | np.ndarray) -> torch.Tensor:
        """(n, d + norms): of some rows, what :meth:`right` of others is multiplied with."""
        features, ones, norms = self._matrix[rows].split([self._dim, self._parts, self._parts], dim=1)
        return torch.cat([-features, norms, ones], dim=1)

    def right(self, rows: slice) -> torch.Tensor:
        """(d + norms, n)."""
        return self._matrix[rows].T

    def bits(self, distances: torch.Tensor) -> np.ndarray:
        """The numbers as integers in the same order, except that those below zero come first in any order."""
        return distances.view(_BITS[distances.dtype]).numpy()


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
