"""Whitening: features in which no few directions decide what is alike."""

import numpy as np

from clim_mm.checks import check_number

from .faiss_backend import as_float32_matrix, blocks_of


def whitened(features: np.ndarray, floor: float = 0.1) -> np.ndarray:
    """Centre features, and divide each principal component by its standard deviation plus a share of the largest.

    A few components carry most of the variance of contrastive features, and neighbours are alike in these alone. The
    axes stay where they are (ZCA), so that centres of one refresh can start the next.

    Args:
        features: (N, d) float32, N >= 1.
        floor: That share, above 0; the smaller, the more alike all components count. 0.1 [ours].

    Returns:
        (N, d) float32, L2-normalised; a feature equal to the mean is zero.
    """
    check_number('whiten', floor, above=0)
    features = as_float32_matrix(features)
    mean = features.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((features.shape[1], features.shape[1]))
    for block in blocks_of(features):
        centred = features[block] - mean
        covariance += centred.T @ centred
    variances, axes = np.linalg.eigh(covariance / len(features))
    deviations = np.sqrt(np.maximum(variances, 0))
    divisors = deviations + floor * deviations[-1]
    scaling = (axes / np.where(divisors > 0, divisors, 1)) @ axes.T

    found = np.empty_like(features)
    for block in blocks_of(features):
        rows = (features[block] - mean) @ scaling
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        found[block] = rows / np.where(lengths > 0, lengths, 1)
    return found
