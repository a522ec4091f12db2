"""The nearest others of each row, kept while more and more are compared with it."""

import numpy as np

_ID_BITS = np.uint64(32)
_NONE = np.uint64(0x7FFFFFFFFFFFFFFF)  # beyond every distance
BYTES_OF_A_CANDIDATE = 8 + (2 + 8) // 2  # its key; besides, half as many wait, each a row and a key


class RunningNearest:
    """The ``num`` nearest others of each of ``rows`` (at most 65,536), while more and more are compared with them.

    Attributes:
        limit: (rows,) bits of distances, of the type ``integer``; only what is below them is of use.
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
