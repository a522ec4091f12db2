"""A picture of which classes are in which clusters."""

from collections.abc import Sequence

import numpy as np

from .figures import write_picture

MOST_NUMBERED = 20  # classes or clusters, beyond which names or numbers could not be read
_INCHES = 0.42  # of a numbered cell


def matched_order(counts: np.ndarray, matched: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The order of the classes and of the clusters in which the matched pairs are the diagonal, C and K int64.

    Classes without a cluster come last. So do clusters without a class, by the class that most of their images have.

    Args:
        counts: (C, K) images of each class in each cluster.
        matched: Classes, ascending, and their clusters, as :func:`clim_mm.evaluation.clusterings.match` has them.
    """
    orders = []
    for paired, others_by in zip(matched, (np.arange(len(counts)), counts.argmax(axis=0)), strict=True):
        others = np.setdiff1d(np.arange(len(others_by)), paired)
        orders.append(np.concatenate([paired, others[np.argsort(others_by[others], kind='stable')]]).astype(np.int64))
    return orders[0], orders[1]


def draw_confusion(counts: np.ndarray, matched: tuple[np.ndarray, np.ndarray], classes: Sequence[str], path: str,
                   title: str = '') -> None:
    """Draw the share of each class that is in each cluster into the file ``path``, the matched pairs on the diagonal.

    Args:
        counts, matched: As for :func:`matched_order`.
        classes: Their C names.
    """
    from matplotlib.figure import Figure

    of_class, of_cluster = matched_order(counts, matched)
    shares = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[np.ix_(of_class, of_cluster)]
    numbered = max(shares.shape) <= MOST_NUMBERED
    height, width = np.array(shares.shape) * (_INCHES if numbered else min(_INCHES, 8 / max(shares.shape)))
    names = [classes[label] for label in of_class] if len(of_class) <= MOST_NUMBERED else []
    room = 0.1 * max(map(len, names), default=4)  # of the names
    figure = Figure(figsize=(max(width, 2.5) + room + 1.8, max(height, 2) + 1.1), layout='constrained')
    axes = figure.subplots()
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1, interpolation='nearest')
    axes.set(xticks=range(len(of_cluster)) if numbered else [], yticks=range(len(names)))
    axes.set_yticklabels(names, parse_math=False, fontsize=9 if numbered else 7)
    if numbered:
        axes.set_xticklabels(of_cluster, fontsize=9)
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                axes.text(column, row, f'{100 * share:.0f}', ha='center', va='center', fontsize=8,
                          color='white' if share > 0.6 else 'black')
    axes.set(xlabel='cluster', ylabel='class')
    figure.colorbar(image, ax=axes, label='share of the class', shrink=0.8)
    figure.suptitle(title, fontsize=9, parse_math=False)
    write_picture(figure, path)
