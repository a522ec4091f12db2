"""The picture of anchors and positives: which frames are green and red, and that -1 is an empty place."""

import numpy as np
import pytest
from PIL import Image

from clim_mm.datasets import ImageFolder
from clim_mm.visualization import draw_positives

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
