"""Which images are sure enough of their positives to be drawn to them."""

import math

import numpy as np

from clim_mm.checks import check_number

from .faiss_backend import blocks_of


def left_to_the_surest(positives: np.ndarray, features: np.ndarray, share: float) -> np.ndarray:
    """Take the positives from all but a share of the images, those that are most similar to theirs [ours].

    Of a trained network the most similar neighbours are the most often of their anchor's class.

    Args:
        positives: (N, P) int32, -1 = none.
        features: (N, d) float32, L2-normalised.
        share: Of the images that have positives, above 0 to 1; rounded up.

    Returns:
        (N, P) int32; -1 in the rows of the others.
    """
    check_number('surest', share, above=0, most=1)
    similarity = mean_similarity(positives, features)
    having = np.flatnonzero(np.isfinite(similarity))
    in_order = having[np.argsort(-similarity[having], kind='stable')]
    kept = in_order[:math.ceil(share * len(having))]
    found = np.full_like(positives, -1)
    found[kept] = positives[kept]
    return found


def mean_similarity(positives: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Mean cosine of each image to its positives, (N,) float64; NaN without one."""
    found = np.full(len(positives), np.nan)
    for block in blocks_of(features):
        there = positives[block] >= 0
        total = np.zeros(len(there))
        for column, is_there in zip(positives[block].T, there.T, strict=True):  # memory of one positive an image
            cosine = np.einsum('nd,nd->n', features[block], features[column], dtype=np.float64)
            total += np.where(is_there, cosine, 0)
        number = there.sum(axis=1)
        found[block] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return found
