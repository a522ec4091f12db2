"""How good features are, without labels: how near positives lie, how evenly all, in how many directions."""

import numpy as np

from .faiss_backend import blocks_of

MOST_PAIRED, MOST_RANKED = 500, 25_600  # images that are looked at; of the rank by Garrido et al.
_FEWEST, _LONGEST = 512, 2048  # images, where features are longer than these numbers [ours]


def feature_quality(features: np.ndarray, positives: np.ndarray) -> dict[str, float]:
    """``alignment``, ``uniformity`` and ``rank_me`` of features and of the positives chosen by them.

    Args:
        features: (N, d) float.
        positives: (N, P) int ids; -1 = none.

    Returns:
        The three by their names; NaN where there is nothing to measure.
    """
    return dict(alignment=alignment(features, positives), uniformity=uniformity(features), rank_me=rank_me(features))


def alignment(features: np.ndarray, positives: np.ndarray, power: float = 2.0, most: int = MOST_RANKED) -> float:
    """Mean distance of anchors to their positives, to the power of ``power`` (Wang and Isola, ICML 2020, equation 4).

    Args:
        features: (N, d) float; put on the unit sphere.
        positives: (N, P) int ids; -1 = none. NaN if there are none at all.
        most: Anchors that are looked at, spread over the set.
    """
    anchors, total, count = spread_ids(len(features), most), 0.0, 0
    for block in blocks_of(features[:len(anchors)]):
        unit = _unit(features[anchors[block]])
        for column in positives[anchors[block]].T:
            there = column >= 0
            distances = np.linalg.norm(unit[there] - _unit(features[column[there]]), axis=1)
            total += float((distances**power).sum())
            count += int(there.sum())
    return total / count if count else float('nan')


def uniformity(features: np.ndarray, t: float = 2.0, most: int = MOST_PAIRED) -> float:
    """Logarithm of the mean of ``exp(-t * distance ** 2)`` over all pairs (Wang and Isola, ICML 2020, equation 5).

    Args:
        features: (N, d) float; put on the unit sphere. Where all are one, it is 0, its maximum.
        most: Images whose pairs are looked at, spread over the set. NaN for a single image.
    """
    products = _products(features, spread_ids(len(features), most))
    lengths = np.sqrt(products.diagonal()).clip(min=np.finfo(np.float64).tiny)  # a row of zeros stays
    cosines = products / lengths / lengths[:, None]
    ones = cosines.diagonal()
    squares = (ones[:, None] + ones - 2 * cosines)[np.triu_indices(len(ones), 1)]  # of the distances, each pair once
    return float(np.log(np.exp(-t * squares).mean())) if len(squares) else float('nan')


def rank_me(features: np.ndarray, most: int = MOST_RANKED) -> float:
    """Number of directions that features spread over, 1 to d (RankMe; Garrido et al., ICML 2023).

    The exponential of the entropy of the singular values, as shares of their sum.

    Args:
        features: (N, d) float; taken as they are, as there. NaN if all are 0.
        most: Images that are looked at, spread over the set; 512 of features longer than 2,048.
    """
    dim = features.shape[1]
    ids = spread_ids(len(features), most if dim <= _LONGEST else min(most, _FEWEST))
    if dim <= len(ids):  # of the two products with the same eigenvalues the smaller one
        product = np.zeros((dim, dim))
        for block in blocks_of(features[:len(ids)]):
            rows = features[ids[block]].astype(np.float64)
            product += rows.T @ rows
    else:
        product = _products(features, ids)
    if not product.any():
        return float('nan')
    singular = np.sqrt(np.linalg.eigvalsh(product).clip(min=0))
    shares = singular[singular > 0] / singular.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _products(features: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(n, n) float64 inner products of n rows, from some numbers of each at a time."""
    product = np.zeros((len(ids), len(ids)))
    for start in range(0, features.shape[1], _LONGEST):
        columns = features[ids, start:start + _LONGEST].astype(np.float64)
        product += columns @ columns.T
    return product


def spread_ids(num_images: int, most: int) -> np.ndarray:
    """(n,) int64, ascending: ids spread evenly over the set, the same each time, so that figures can be followed."""
    return np.unique(np.linspace(0, num_images - 1, min(num_images, most)).astype(np.int64))


def _unit(features: np.ndarray) -> np.ndarray:
    """Each row at length 1, in float64; a row of zeros, as a dead network gives, stays."""
    rows: np.ndarray = np.asarray(features, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=np.finfo(np.float64).tiny)
