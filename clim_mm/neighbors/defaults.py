"""Default numbers of clusters, neighbours, positives and queue keys for a training set of N images."""

from typing import NamedTuple, Optional

from clim_mm.errors import ConfigError

PAPER_QUEUE_LEN = 65536  # [moco]
_MOST_COMPARED_WITH_ALL = 100_000  # images: half a minute for each, k-means and search, on two cores


class NeighborSizes(NamedTuple):
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
    """
    if num_samples < 2:
        raise ConfigError(f'The training set has {num_samples} image(s), but a positive is another image: '
                          'use a data folder with at least 2.')
    derived = NeighborSizes(max(1, min(10000, num_samples // 16)), default_num_neighbors(num_samples))
    given = NeighborSizes(*(default if size is None else size
                            for size, default in zip((num_clusters, num_neighbors), derived, strict=True)))
    for name, size, default, most in zip(given._fields, given, derived, (num_samples, num_samples - 1), strict=True):
        if not 1 <= size <= most:
            raise ConfigError(f'{name}={size} does not fit a training set of {num_samples} images: set it from 1 to '
                              f'{most}, or to None, which gives {default} here.')
    return given


def is_exact(exact: Optional[bool], num_samples: int) -> bool:
    """Whether k-means takes all images at each iteration, and each image is compared with all.

    ``exact`` itself; if it is None, up to 100,000 images [ours].
    """
    return num_samples <= _MOST_COMPARED_WITH_ALL if exact is None else exact


def default_num_neighbors(num_samples: int) -> int:
    """``k = min(40, max(5, N // 100))`` [ours], below N; the paper's 40 on ImageNet."""
    return min(40, max(5, num_samples // 100), num_samples - 1)


def default_num_positives(num_samples: int) -> int:
    """P: the paper's 10 (A.2), on small sets no more than there are neighbours to fill up with [ours]."""
    return max(1, min(10, default_num_neighbors(num_samples)))


def default_queue_len(num_samples: int, keys_per_step: int) -> int:
    """``K = min(65536, N // 8)`` [ours]: the paper's 65,536 on ImageNet [moco], and at least the keys of one step.

    On small sets a longer queue would hold keys of many momentum encoders ago, and several of the same image.
    """
    return max(keys_per_step, min(PAPER_QUEUE_LEN, num_samples // 8))


def is_small(num_samples: int) -> bool:
    """Whether the set is too small for the paper's queue. Then a good share of the anchors meet their own old keys."""
    return num_samples // 8 < PAPER_QUEUE_LEN
