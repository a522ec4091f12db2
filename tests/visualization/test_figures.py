"""Figures: the frames of positives, -1 as a gap, and t-SNE of a few classes."""

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from clim_mm.datasets import ImageFolder
from clim_mm.errors import ConfigError
from clim_mm.visualization import choose_images, draw_positives, draw_tsne
from clim_mm.visualization.figures import check_picture, write_picture

GREEN, RED = (0x2C, 0xA0, 0x2C), (0xD6, 0x27, 0x28)  # matplotlib's tab:green and tab:red
BLUE = (30, 60, 200)


@pytest.fixture
def source(tmp_path):
    """Six images of one blue."""
    (tmp_path / 'blue').mkdir()
    for number in range(6):
        Image.new('RGB', (16, 16), BLUE).save(tmp_path / 'blue' / f'{number}.png')
    return ImageFolder(str(tmp_path / 'blue'))


def drawn(source, tmp_path, positives, anchors=(0, ), **kwargs):
    """The picture's pixels of green, of red, and of the images."""
    path = tmp_path / 'positives.png'
    draw_positives(source, np.array(positives), anchors, str(path), **kwargs)
    pixels = np.asarray(Image.open(path).convert('RGB')).astype(int)
    return [int((np.abs(pixels - color).max(axis=2) <= 3).sum()) for color in (GREEN, RED, BLUE)], pixels.shape


@pytest.mark.parametrize('labels, green, red', [
    ([4, 4, 4, 0, 0, 0], 2, 0),
    ([4, 0, 1, 0, 0, 0], 0, 2),
    ([4, 4, 1, 0, 0, 0], 1, 1),
    (None, 0, 0),
])
def test_frames_tell_whether_the_labels_match(source, tmp_path, labels, green, red):
    (one, _, _), _ = drawn(source, tmp_path, [[1, -1]] * 6, labels=np.array([0, 0, 1, 1, 1, 1]))
    assert one > 200, 'the pixels of one frame'
    labels = None if labels is None else np.array(labels)
    (greens, reds, _), _ = drawn(source, tmp_path, [[1, 2]] * 6, labels=labels)
    assert greens == pytest.approx(green * one, rel=0.15) and reds == pytest.approx(red * one, rel=0.15)


def test_minus_one_is_an_empty_place(source, tmp_path):
    labels = np.zeros(6, dtype=int)
    (frames, _, full), shape = drawn(source, tmp_path, [[1, 2, 3]] * 6, labels=labels)
    (fewer_frames, _, fewer), same_shape = drawn(source, tmp_path, [[1, -1, -1]] * 6, labels=labels)
    (no_frames, _, anchor_only), _ = drawn(source, tmp_path, [[-1, -1, -1]] * 6, labels=labels)
    assert shape == same_shape
    assert full > fewer > anchor_only > 0
    assert fewer - anchor_only == pytest.approx((full - anchor_only) / 3, rel=0.05)
    assert no_frames == 0 and fewer_frames == pytest.approx(frames / 3, rel=0.15)


def test_a_row_for_each_anchor(source, tmp_path):
    table = [[1, -1]] * 6
    (_, _, one), (height, width, _) = drawn(source, tmp_path, table, anchors=[0])
    (_, _, three), (taller, as_wide, _) = drawn(source, tmp_path, table, anchors=[0, 4, 5])
    assert taller > height and as_wide == width
    assert three == pytest.approx(3 * one, rel=0.2)


def test_which_images():
    labels = np.array([4, 7, 7, 4, 9, 7, 7, 9])
    np.testing.assert_array_equal(choose_images(labels), [0, 3, 1, 2, 5, 6, 4, 7])
    np.testing.assert_array_equal(choose_images(labels, num_classes=1), [0, 3])
    some = choose_images(labels, num_classes=2, per_class=3, seed=1)
    assert len(some) == 5 and set(some[:2]) == {0, 3} and len(set(some[2:]) & {1, 2, 5, 6}) == 3
    drawn = {tuple(choose_images(labels, 2, 3, seed)[2:]) for seed in range(20)}
    assert len(drawn) == 4, 'each of the four may be left out'


def test_classes_drawn_at_random():
    labels = np.array([4, 7, 7, 4, 9, 7, 7, 9])
    of_classes = {4: (0, 3), 7: (1, 2, 5, 6), 9: (4, 7)}
    drawn = [tuple(choose_images(labels, 2, class_seed=seed)) for seed in range(30)]
    pairs = {of_classes[a] + of_classes[b] for a, b in [(4, 7), (4, 9), (7, 9)]}
    assert set(drawn) == pairs, 'two of three classes, in their order'
    np.testing.assert_array_equal(choose_images(labels, 3, class_seed=5), choose_images(labels, 3))
    np.testing.assert_array_equal(choose_images(labels, 2, class_seed=5), choose_images(labels, 2, class_seed=5))


def test_classes_are_in_places_and_colours_of_their_own(tmp_path):
    labels = np.repeat([0, 1, 2], 20)
    features = np.eye(6)[labels] + 0.2 * np.random.default_rng(0).normal(size=(60, 6))
    path = tmp_path / 'tsne.png'
    draw_tsne(features, labels, ('a', 'b', 'c'), str(path), 'three blobs')
    picture = matplotlib.image.imread(path)[..., :3]
    places = []
    for color in ([0x1f, 0x77, 0xb4], [0xff, 0x7f, 0x0e], [0x2c, 0xa0, 0x2c]):
        like = np.abs(picture[:, :int(picture.shape[1] * 0.8)] - np.array(color) / 255).max(axis=2) < 0.3
        assert like.sum() > 50
        rows, columns = np.nonzero(like)
        places.append((np.median(rows), np.median(columns)))
    apart = [np.hypot(*np.subtract(a, b)) for a, b in zip(places, places[1:] + places[:1], strict=True)]
    assert min(apart) > 100, 'pixels'


@pytest.fixture
def figure():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    return figure


def test_the_ending_is_the_format_and_the_folder_is_made(figure, tmp_path):
    write_picture(figure, str(tmp_path / 'new/picture.PNG'), dpi=50)
    assert Image.open(tmp_path / 'new/picture.PNG').size == (100, 50)
    write_picture(figure, str(tmp_path / 'picture.svg'))
    assert '<svg' in (tmp_path / 'picture.svg').read_text()


@pytest.mark.parametrize('path', ['picture.gif', 'picture', 'png'])
def test_other_formats_are_refused_before_anything_is_written(figure, tmp_path, path):
    with pytest.raises(ConfigError, match='The ending of --out must be one of png, pdf, svg'):
        check_picture('--out', path)
    with pytest.raises(ConfigError, match='one of png, pdf, svg'):
        write_picture(figure, str(tmp_path / path))
    assert list(tmp_path.iterdir()) == []
