"""Squared distances of features that are rounded to few bits: by one fast product of matrices."""

import time

import numpy as np
import torch

_PARTS_OF_A_NORM = {torch.bfloat16: 3, torch.float32: 1}  # that add up to a float32
_BITS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}  # integers as long as the numbers
_MEASURED_ROWS = 2048


class Rounded:
    """Features in the matrix whose product with itself is half the squared distances.

    The features are centred first, which moves no distance, so that the rounding is small beside the distances. Half
    the squared norms are further columns, in parts that lose nothing.

    Args:
        features: (N, d) float32, finite.
        order: (N,) ids, in whose order the rows follow each other.
        dtype: ``torch.bfloat16`` or ``torch.float32``.
        rows: That are rounded at once.
    """

    def __init__(self, features: np.ndarray, order: np.ndarray, dtype: torch.dtype, rows: int) -> None:
        self.dtype = dtype
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
        return distances.view(_BITS[self.dtype]).numpy()


def dtypes_by_speed(dim: int) -> list[torch.dtype]:
    """The types that features may be rounded to: bfloat16 first, where this processor multiplies it faster.

    Args:
        dim: d.
    """

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(_MEASURED_ROWS, dim, dtype=dtype)
        torch.mm(matrix, matrix.T)  # starts threads
        start = time.perf_counter()
        torch.mm(matrix, matrix.T)
        return time.perf_counter() - start

    faster = seconds(torch.bfloat16) < seconds(torch.float32)
    return [torch.bfloat16, torch.float32] if faster else [torch.float32]
