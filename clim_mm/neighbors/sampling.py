"""Sampling without replacement, many rows at once."""

import numpy as np


def sample_without_replacement(counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """For each row, draw ``size`` distinct integers uniformly from ``0 .. counts[row] - 1``.

    Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987), vectorised over the rows: ``size`` steps,
    whatever the counts.

    Args:
        counts: (N,) int64, at least 0.
        size: Integers drawn for each row.
        rng: Source of randomness.

    Returns:
        (N, size) int64; a row with fewer than ``size`` integers holds them all, and -1 elsewhere.
    """
    drawn = np.full((len(counts), size), -1, dtype=np.int64)
    for step in range(size):
        last = counts - size + step  # the largest integer that may be drawn in this step
        candidate = np.floor(rng.random(len(counts)) * (last + 1)).astype(np.int64)
        taken = (drawn[:, :step] == candidate[:, None]).any(axis=1)
        drawn[:, step] = np.where(last < 0, -1, np.where(taken, last, candidate))
    return drawn
