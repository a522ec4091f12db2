"""CutMix: the pixels that are mixed, and the lam that is told of them."""

import numpy as np
import pytest
from scipy.special import beta

from clim_mm.datasets import CutMix
from clim_mm.datasets.transforms.mixing import anchor_share, pixel_box, relative_rectangle
from clim_mm.errors import ConfigError


def pair(shapes, rng, positive_idx=5):
    """An anchor painted with 0 and a positive painted with 255, at each of the shapes."""
    return dict(
        views=dict(query=[np.zeros((*shape, 3), np.uint8) for shape in shapes],
                   positive_query=[np.full((*shape, 3), 255, np.uint8) for shape in shapes]),
        positive_idx=positive_idx,
        lam=[0.0 if positive_idx >= 0 else 1.0] * len(shapes),
        rng=rng)


def box_of(mixed):
    """The rectangle of pixels of the positive: top, left, bottom, right, or None if there are none."""
    patch = mixed[..., 0] == 255
    rows, columns = np.flatnonzero(patch.any(axis=1)), np.flatnonzero(patch.any(axis=0))
    return (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) if len(rows) else None


@pytest.mark.parametrize('alpha', [0.3, 2.0])
def test_lam_is_the_counted_share_of_anchor_pixels(alpha):
    shapes = [(r, r) for r in range(1, 65)] + [(1, 7), (7, 1), (24, 32), (33, 20), (160, 224)]
    for seed in range(30):
        results = CutMix(alpha)(pair(shapes, np.random.default_rng(seed)))
        assert len(results['lam']) == len(shapes)
        for mixed, lam in zip(results['views']['query'], results['lam'], strict=True):
            assert set(np.unique(mixed)) <= {0, 255}
            np.testing.assert_allclose(lam, (mixed == 0).mean(), rtol=0, atol=1e-12)
            assert type(lam) is float and 0 <= lam <= 1


def test_all_boxes_are_rectangles_of_all_channels():
    for seed in range(100):
        mixed = CutMix()(pair([(40, 30)], np.random.default_rng(seed)))['views']['query'][0]
        top, left, bottom, right = box_of(mixed)
        expected = np.zeros((40, 30, 3))
        expected[top:bottom, left:right] = 255
        np.testing.assert_array_equal(mixed, expected)


def test_the_patch_stays_at_its_place_in_the_positive():
    rng = np.random.default_rng(0)
    anchor, positive = rng.integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    views = dict(query=[anchor.copy()], positive_query=[positive.copy()])
    results = CutMix()(dict(pair([(32, 32)], np.random.default_rng(3)), views=views))
    # The same generator draws the same box over the painted pair.
    mask = CutMix()(pair([(32, 32)], np.random.default_rng(3)))['views']['query'][0] == 255
    assert 0 < mask.mean() < 1
    np.testing.assert_array_equal(results['views']['query'][0], np.where(mask, positive, anchor))
    np.testing.assert_array_equal(views['positive_query'][0], positive)
    assert 'positive_query' not in results['views'], 'it is used up'


def test_the_rectangle_is_the_same_at_every_resolution():
    for seed in range(100):
        results = CutMix()(pair([(224, 224), (160, 160), (96, 96), (32, 48)], np.random.default_rng(seed)))
        first, *others = (np.array(box_of(image)) / np.tile(image.shape[:2], 2) for image in results['views']['query'])
        for box, image in zip(others, results['views']['query'][1:], strict=True):
            rounding = 0.5 / np.tile(image.shape[:2], 2) + 0.5 / 224
            assert (abs(box - first) <= rounding + 1e-12).all()


def test_rectangles_are_inside_the_image_and_of_the_area():
    rng = np.random.default_rng(0)
    clipped = 0
    for _ in range(2000):
        lam = rng.random()
        top, left, bottom, right = relative_rectangle(lam, rng)
        side = np.sqrt(1 - lam)
        assert 0 <= top <= bottom <= 1 and 0 <= left <= right <= 1
        for start, end in [(top, bottom), (left, right)]:
            if start > 0 and end < 1:
                np.testing.assert_allclose(end - start, side, atol=1e-12)
            else:
                clipped += 1
                # The centre is in the image, so that at least half of the side is.
                assert side / 2 - 1e-12 <= end - start <= side + 1e-12
    assert clipped > 500


def test_the_ends_of_lam():
    rng = np.random.default_rng(0)
    top, left, bottom, right = relative_rectangle(1.0, rng)
    assert top == bottom and left == right
    for _ in range(100):
        top, left, bottom, right = relative_rectangle(0.0, rng)
        assert (top == 0 or bottom == 1) and (left == 0 or right == 1)
        assert min(bottom - top, right - left) >= 0.5


def test_centres_are_uniform_and_independent():
    rng = np.random.default_rng(0)
    # A side of 0.001 makes clipping rare.
    centers = np.array([relative_rectangle(1 - 1e-6, rng).reshape(2, 2).mean(axis=0) for _ in range(20000)])
    for values in centers.T:
        frequency = np.histogram(values, bins=20, range=(0, 1))[0]
        assert ((frequency - 1000)**2 / 1000).sum() < 19 + 5 * np.sqrt(38)
    assert abs(np.corrcoef(centers.T)[0, 1]) < 5 / np.sqrt(20000)


@pytest.mark.parametrize('alpha', [0.5, 1.0, 2.0])
def test_the_mean_of_lam_is_that_of_beta_with_clipping(alpha):
    rng = np.random.default_rng(0)
    transform = CutMix(alpha)
    lams = [transform(pair([(256, 256)], rng))['lam'][0] for _ in range(2500)]

    # A side s with a uniform centre is clipped to s - s^2 / 4 on average, on both axes independently.
    def moment(power):  # of 1 - lam before clipping, whose root is the side
        return beta(alpha + power, alpha) / beta(alpha, alpha)

    expected = 1 - (moment(1) - moment(1.5) / 2 + moment(2) / 16)
    assert abs(np.mean(lams) - expected) < 4 * np.std(lams) / np.sqrt(len(lams))


def test_larger_alpha_keeps_lam_nearer_to_its_middle():
    rng = np.random.default_rng(0)
    spread = [np.std([CutMix(alpha)(pair([(64, 64)], rng))['lam'][0] for _ in range(500)]) for alpha in (0.2, 2, 50)]
    assert spread[0] > spread[1] > spread[2]


def test_without_a_positive_nothing_changes():
    results = CutMix()(pair([(32, 32), (24, 24)], np.random.default_rng(0), positive_idx=-1))
    assert results['lam'] == [1.0, 1.0]
    assert all((image == 0).all() for image in results['views']['query'])


def test_the_sample_generator_decides():
    draws = [CutMix()(pair([(64, 64)], np.random.default_rng(seed)))['lam'] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize('rectangle, size, box', [
    ((0, 0, 1, 1), (5, 9), (0, 0, 5, 9)),
    ((0.25, 0.5, 0.5, 0.75), (8, 8), (2, 4, 4, 6)),
    ((0.25, 0.5, 0.5, 0.75), (4, 16), (1, 8, 2, 12)),
    ((0.1, 0.1, 0.34, 0.36), (10, 10), (1, 1, 3, 4)),
])
def test_boxes_by_hand(rectangle, size, box):
    assert pixel_box(rectangle, *size) == box


def test_anchor_share_by_hand():
    assert anchor_share((0, 0, 0, 0), 10, 10) == 1.0
    assert anchor_share((0, 0, 10, 20), 10, 20) == 0.0
    assert anchor_share((2, 1, 4, 6), 5, 8) == 0.75


@pytest.mark.parametrize('alpha', [0, -0.5, float('inf'), float('nan')])
def test_alpha_out_of_range_is_an_error(alpha):
    with pytest.raises(ConfigError, match=f'alpha .* not {alpha}'):
        CutMix(alpha)


def test_the_patch_can_come_from_another_place():
    rows, columns = np.meshgrid(np.arange(40), np.arange(40), indexing='ij')
    positive = np.stack([rows, columns, np.full_like(rows, 9)], axis=-1).astype(np.uint8)  # each pixel tells its place
    moved_somewhere = 0
    for seed in range(50):
        query = np.zeros((40, 40, 3), dtype=np.uint8)
        results = CutMix(alpha=2.0, same_place=False)(
            dict(views=dict(query=[query], positive_query=[positive]), positive_idx=1, lam=[0.0],
                 rng=np.random.default_rng(seed)))
        pasted = np.argwhere(query[..., 2] == 9)
        if len(pasted) == 0:
            continue
        sources = query[query[..., 2] == 9][:, :2].astype(int)
        shifts = sources - pasted
        assert (shifts == shifts[0]).all()  # one rectangle, moved as a whole, inside the image
        assert results['lam'] == [1 - len(pasted) / 1600]
        moved_somewhere += (shifts[0] != 0).any()
    assert moved_somewhere > 40
