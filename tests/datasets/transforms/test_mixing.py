"""CutMix and MixUp: the pixels that are mixed, the lam that is told of them, and what they have in common."""

import numpy as np
import pytest
from scipy.special import beta

from clim_mm.datasets import CutMix, MixUp
from clim_mm.datasets.transforms.mixing import anchor_share, blend, pixel_box, relative_rectangle
from clim_mm.errors import ConfigError

BOTH = pytest.mark.parametrize('mixing', [CutMix, MixUp])


def pair(seed, batch_seed=0, positive_idx=5, sizes=(32, 24)):
    return dict(
        query=[np.zeros((r, r, 3), np.uint8) for r in sizes],
        positive_query=[np.full((r, r, 3), 200, np.uint8) for r in sizes],
        positive_idx=positive_idx,
        lam=0.0 if positive_idx >= 0 else 1.0,
        rng=np.random.default_rng(seed),
        batch_rng=np.random.default_rng(batch_seed))


@BOTH
@pytest.mark.parametrize('options', [dict(), dict(same_place=False)])
def test_the_samples_of_a_batch_share_their_draws(mixing, options):
    if mixing is MixUp and options:
        options = dict(alpha=3.0)
    shared = mixing(per_batch=True, **options)
    one, other, elsewhere = shared(pair(seed=1)), shared(pair(seed=2)), shared(pair(seed=1, batch_seed=1))
    assert one['lam'] == other['lam'] != elsewhere['lam']
    for image, same, another in zip(one['query'], other['query'], elsewhere['query'], strict=True):
        np.testing.assert_array_equal(image, same)
        assert (image != another).any()
    by_itself = mixing(**options)(pair(seed=0))  # whose own generator is here what the batch's was
    assert by_itself['lam'] == one['lam']
    apart = [mixing(**options)(pair(seed=seed))['lam'] for seed in (1, 2)]
    assert apart[0] != apart[1]


@BOTH
def test_the_unmixed_views_follow_with_lam_1(mixing):
    plain, results = mixing()(pair(seed=3)), mixing(unmixed_term=True)(pair(seed=3))
    assert [image.shape[0] for image in results['query']] == [32, 24, 32, 24]
    assert results['lam'] == plain['lam'] + [1.0, 1.0]
    for image, mixed in zip(results['query'][:2], plain['query'], strict=True):
        np.testing.assert_array_equal(image, mixed)
        assert image.any()
    assert not any(image.any() for image in results['query'][2:])


@BOTH
def test_without_a_positive_there_are_as_many_queries(mixing):
    results = mixing(unmixed_term=True)(pair(seed=0, positive_idx=-1))
    assert [image.shape[0] for image in results['query']] == [32, 24, 32, 24] and results['lam'] == 1.0
    assert not any(image.any() for image in results['query'])
    assert not any(np.shares_memory(a, b) for a, b in zip(results['query'][:2], results['query'][2:], strict=True))


@BOTH
@pytest.mark.parametrize('name', ['per_batch', 'unmixed_term'])
@pytest.mark.parametrize('value', ['no', 1, None])
def test_words_are_no_switches(mixing, name, value):
    with pytest.raises(ConfigError, match=f'{name} of {mixing.__name__} must be True or False, not {value!r}'):
        mixing(**{name: value})


def test_they_tell_their_options():
    assert repr(MixUp(0.4)) == 'MixUp(alpha=0.4, per_batch=False, unmixed_term=False)'
    assert repr(CutMix(per_batch=True)) == 'CutMix(alpha=2.0, per_batch=True, unmixed_term=False, same_place=True)'


def painted(shapes, rng, positive_idx=5):
    """An anchor painted with 0 and a positive painted with 255, at each of the shapes."""
    return dict(
        query=[np.zeros((*shape, 3), np.uint8) for shape in shapes],
        positive_query=[np.full((*shape, 3), 255, np.uint8) for shape in shapes],
        positive_idx=positive_idx,
        lam=0.0,
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
        results = CutMix(alpha)(painted(shapes, np.random.default_rng(seed)))
        assert len(results['lam']) == len(shapes)
        for mixed, lam in zip(results['query'], results['lam'], strict=True):
            assert set(np.unique(mixed)) <= {0, 255}
            np.testing.assert_allclose(lam, (mixed == 0).mean(), rtol=0, atol=1e-12)
            assert type(lam) is float and 0 <= lam <= 1


def test_all_boxes_are_rectangles_of_all_channels():
    for seed in range(100):
        mixed = CutMix()(painted([(40, 30)], np.random.default_rng(seed)))['query'][0]
        top, left, bottom, right = box_of(mixed)
        expected = np.zeros((40, 30, 3))
        expected[top:bottom, left:right] = 255
        np.testing.assert_array_equal(mixed, expected)


def test_the_patch_stays_at_its_place_in_the_positive():
    rng = np.random.default_rng(0)
    anchor, positive = rng.integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    views = dict(query=[anchor.copy()], positive_query=[positive.copy()])
    results = CutMix()({**painted([], np.random.default_rng(3)), **views})
    # The same generator draws the same box over the painted pair.
    mask = CutMix()(painted([(32, 32)], np.random.default_rng(3)))['query'][0] == 255
    assert 0 < mask.mean() < 1
    np.testing.assert_array_equal(results['query'][0], np.where(mask, positive, anchor))
    np.testing.assert_array_equal(results['positive_query'][0], positive)


def test_the_rectangle_is_the_same_at_every_resolution():
    for seed in range(100):
        results = CutMix()(painted([(224, 224), (160, 160), (96, 96), (32, 48)], np.random.default_rng(seed)))
        first, *others = (np.array(box_of(image)) / np.tile(image.shape[:2], 2) for image in results['query'])
        for box, image in zip(others, results['query'][1:], strict=True):
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
    lams = [transform(painted([(256, 256)], rng))['lam'][0] for _ in range(2500)]

    # A side s with a uniform centre is clipped to s - s^2 / 4 on average, on both axes independently.
    def moment(power):  # of 1 - lam before clipping, whose root is the side
        return beta(alpha + power, alpha) / beta(alpha, alpha)

    expected = 1 - (moment(1) - moment(1.5) / 2 + moment(2) / 16)
    assert abs(np.mean(lams) - expected) < 4 * np.std(lams) / np.sqrt(len(lams))


def test_larger_alpha_keeps_lam_nearer_to_its_middle():
    rng = np.random.default_rng(0)
    spread = [np.std([CutMix(alpha)(painted([(64, 64)], rng))['lam'][0] for _ in range(500)]) for alpha in (0.2, 2, 50)]
    assert spread[0] > spread[1] > spread[2]


def test_cutmix_without_a_positive_changes_nothing():
    results = dict(painted([(32, 32), (24, 24)], np.random.default_rng(0), positive_idx=-1), lam=1.0)
    results = CutMix()(results)
    assert results['lam'] == 1.0
    assert all((image == 0).all() for image in results['query'])


def test_the_sample_generator_decides():
    draws = [CutMix()(painted([(64, 64)], np.random.default_rng(seed)))['lam'] for seed in (0, 0, 1)]
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
def test_alpha_of_cutmix_out_of_range_is_an_error(alpha):
    with pytest.raises(ConfigError, match=f'alpha .* not {alpha}'):
        CutMix(alpha)


def test_the_patch_can_come_from_another_place():
    rows, columns = np.meshgrid(np.arange(40), np.arange(40), indexing='ij')
    positive = np.stack([rows, columns, np.full_like(rows, 9)], axis=-1).astype(np.uint8)  # each pixel tells its place
    moved_somewhere = 0
    for seed in range(50):
        query = np.zeros((40, 40, 3), dtype=np.uint8)
        results = CutMix(alpha=2.0, same_place=False)(
            dict(query=[query], positive_query=[positive], positive_idx=1, lam=0.0, rng=np.random.default_rng(seed)))
        pasted = np.argwhere(query[..., 2] == 9)
        if len(pasted) == 0:
            continue
        sources = query[query[..., 2] == 9][:, :2].astype(int)
        shifts = sources - pasted
        assert (shifts == shifts[0]).all()  # one rectangle, moved as a whole, inside the image
        assert results['lam'] == [1 - len(pasted) / 1600]
        moved_somewhere += (shifts[0] != 0).any()
    assert moved_somewhere > 40


def random_pair(shapes, rng, positive_idx=5, seed=0):
    """An anchor and a positive of random pixels, at each of the shapes."""
    pixels = np.random.default_rng(seed)
    query, positive = ([pixels.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes] for _ in range(2))
    return dict(query=query, positive_query=positive, positive_idx=positive_idx, lam=0.0, rng=rng)


@pytest.mark.parametrize('alpha', [0.2, 1.0, 8.0])
def test_every_pixel_is_the_rounded_blend(alpha):
    shapes = [(32, 32), (24, 24), (7, 5)]
    for seed in range(20):
        before = random_pair(shapes, None)
        results = MixUp(alpha)(random_pair(shapes, np.random.default_rng(seed)))
        lam = np.random.default_rng(seed).beta(alpha, alpha)
        assert results['lam'] == [lam] * 3 and all(type(share) is float for share in results['lam'])
        for mixed, anchor, positive in zip(results['query'], before['query'], before['positive_query'], strict=True):
            exact = lam * anchor.astype(float) + (1 - lam) * positive.astype(float)
            assert mixed.dtype == np.uint8 and mixed.shape == anchor.shape
            assert abs(mixed - exact).max() <= 0.5 + 1e-9
        for image, kept in zip(results['positive_query'], before['positive_query'], strict=True):
            np.testing.assert_array_equal(image, kept)


def test_blends_by_hand():
    image, other = np.array([0, 10, 255, 255, 3, 1, 2], np.uint8), np.array([255, 20, 0, 255, 0, 0, 1], np.uint8)
    # 0.25 a + 0.75 b is 191.25, 17.5 (to the even 18), 63.75, 255, 0.75, 0.25 and 1.25.
    assert blend(image, other, 0.25).tolist() == [191, 18, 64, 255, 1, 0, 1]
    np.testing.assert_array_equal(blend(image, other, 1.0), image)
    np.testing.assert_array_equal(blend(image, other, 0.0), other)
    assert blend(image, image, 0.37).tolist() == image.tolist()


def test_lam_is_drawn_from_beta():
    rng = np.random.default_rng(0)
    for alpha in (0.2, 2.0):
        transform = MixUp(alpha)
        lam = np.array([transform(random_pair([(2, 2)], rng))['lam'][0] for _ in range(4000)])
        variance = 1 / (4 * (2 * alpha + 1))  # of Beta(alpha, alpha)
        assert abs(lam.mean() - 0.5) < 5 * np.sqrt(variance / 4000)
        assert abs(lam.var() - variance) < 0.1 * variance


def test_mixup_without_a_positive_changes_nothing():
    given = dict(random_pair([(16, 16), (12, 12)], np.random.default_rng(0), positive_idx=-1), lam=1.0)
    before = [image.copy() for image in given['query']]
    results = MixUp()(given)
    assert results['lam'] == 1.0
    for image, kept in zip(results['query'], before, strict=True):
        np.testing.assert_array_equal(image, kept)


def test_the_default_is_the_papers():
    assert MixUp().alpha == 0.2


@pytest.mark.parametrize('alpha', [0, -0.2, float('nan'), '0.2'])
def test_alpha_of_mixup_out_of_range_is_an_error(alpha):
    with pytest.raises(ConfigError, match='alpha of MixUp must be a number above 0, not '):
        MixUp(alpha)
