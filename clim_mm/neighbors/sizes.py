"""How many clusters and neighbours a training set of N images gets."""

from dataclasses import dataclass
from typing import Optional

from clim_mm.errors import ConfigError


@dataclass(frozen=True)
class NeighborSizes:
    """``m`` clusters and ``k`` neighbours."""

    num_clusters: int
    num_neighbors: int


def neighbor_sizes(num_samples: int,
                   num_clusters: Optional[int] = None,
                   num_neighbors: Optional[int] = None) -> NeighborSizes:
    """Take the sizes that are given, and derive the others from ``num_samples``.

    ``m = min(10000, N // 16)`` and ``k = min(40, max(5, N // 100))`` [ours]. On ImageNet these are the
    paper's 10,000 and 40 (A.2); on small sets the paper's 128 images a centre mix more classes (measured on
    the digits: purer positives with more centres).

    Raises:
        ConfigError: If the set has fewer images than clusters, or not more images than neighbours.
    """
    if num_samples < 2:
        raise ConfigError(f'The training set has {num_samples} image(s), but a positive is another image: '
                          'use a data folder with at least 2.')
    derived_clusters = max(1, min(10000, num_samples // 16))
    derived_neighbors = min(40, max(5, num_samples // 100), num_samples - 1)
    m = derived_clusters if num_clusters is None else num_clusters
    k = derived_neighbors if num_neighbors is None else num_neighbors
    if not 1 <= m <= num_samples:
        raise ConfigError(f'num_clusters={m} does not fit a training set of {num_samples} images: set it from 1 to '
                          f'{num_samples}, or to None, which gives {derived_clusters} here.')
    if not 1 <= k < num_samples:
        raise ConfigError(f'num_neighbors={k} does not fit a training set of {num_samples} images: set it from 1 to '
                          f'{num_samples - 1}, or to None, which gives {derived_neighbors} here.')
    return NeighborSizes(m, k)
