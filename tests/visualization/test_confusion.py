"""The picture of classes and clusters: its order, and that the diagonal is where the match is."""

import matplotlib.image
import numpy as np
import pytest

from clim_mm.visualization import draw_confusion
from clim_mm.visualization.confusion import matched_order


@pytest.mark.parametrize('counts, matched, of_class, of_cluster', [
    ([[0, 5], [5, 0]], ([0, 1], [1, 0]), [0, 1], [1, 0]),
    # Five clusters for two classes: 0 is most of class 1, 2 and 4 of class 0.
    ([[0, 9, 3, 0, 2], [4, 0, 0, 8, 1]], ([0, 1], [1, 3]), [0, 1], [1, 3, 2, 4, 0]),
    # Two clusters for four classes.
    ([[1, 0], [0, 7], [1, 1], [8, 0]], ([1, 3], [1, 0]), [1, 3, 0, 2], [1, 0]),
])
def test_the_order_by_hand(counts, matched, of_class, of_cluster):
    found = matched_order(np.array(counts), tuple(map(np.array, matched)))
    assert [order.tolist() for order in found] == [of_class, of_cluster]


def darkness(path, size):
    """Mean darkness of ``size`` rows and columns of cells, from the picture's largest frame."""
    picture = matplotlib.image.imread(path)[..., :3].mean(axis=2)
    rows, columns = (np.flatnonzero((picture < 0.02).mean(axis=axis) > 0.4) for axis in (1, 0))
    inside = picture[rows[0] + 2:rows[-1] - 1, columns[0] + 2:]
    width = inside.shape[0]  # cells are square
    inside = inside[:, :width]
    edges = np.linspace(0, width, size + 1).round().astype(int)
    return np.array([[1 - inside[a:b, c:d].mean() for c, d in zip(edges, edges[1:], strict=False)]
                     for a, b in zip(edges, edges[1:], strict=False)])


@pytest.mark.parametrize('size', [4, 30])
def test_the_match_is_drawn_on_the_diagonal(tmp_path, size):
    rng = np.random.default_rng(0)
    order = rng.permutation(size)
    counts = np.zeros((size, size), dtype=int)
    counts[np.arange(size), order] = 10
    counts[1] = 0  # a class without an image
    names = [f'a $long_ name {i}' for i in range(size)]
    draw_confusion(counts, (np.arange(size), order), names, str(tmp_path / 'a.png'), 'title_$')
    dark = darkness(tmp_path / 'a.png', size)
    own = np.diag(dark)
    assert (np.delete(own, 1) > 0.3).all() and own[1] < 0.2
    assert dark[~np.eye(size, dtype=bool)].max() < 0.2


def test_numbers_and_names_end_where_they_could_not_be_read(tmp_path):
    def texts(size):
        counts = np.eye(size, dtype=int)
        draw_confusion(counts, (np.arange(size), np.arange(size)), [f'name{i}' for i in range(size)],
                       str(tmp_path / 'a.svg'))
        return (tmp_path / 'a.svg').read_text().count('<!-- ')  # the text of each line of glyphs

    few, twenty, many = texts(5), texts(20), texts(21)
    assert few + 3 * 15 == twenty and many < few, 'a name, a number and a share for each'
