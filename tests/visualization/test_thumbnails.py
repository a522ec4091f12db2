"""Small pictures: what of an image is seen, each read once, and as good as the room admits."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from clim_mm.datasets import ImageFolder
from clim_mm.visualization.thumbnails import encode_within, read_thumbnails

RED, GREEN, BLUE = (200, 30, 30), (30, 180, 30), (30, 30, 200)


def pictures(number=20, side=64):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (number, 8, 8, 3))
    fine = np.kron(coarse, np.ones((1, side // 8, side // 8, 1))) * 0.7 + rng.integers(0, 70, (number, side, side, 3))
    return {3 * i: picture for i, picture in enumerate(fine.astype(np.uint8))}


def files_of(jpegs):
    return {i: base64.b64decode(jpegs.head + tail, validate=True) for i, tail in jpegs.tails.items()}


def size_of(jpegs):
    return len(jpegs.head) + sum(len(tail) for tail in jpegs.tails.values())


def test_the_middle_square_of_each_image(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = RED, GREEN, BLUE
    Image.fromarray(wide).save(tmp_path / '0.png')
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / '1.png')
    (tmp_path / '2.png').write_bytes(b'')
    reads = []

    def note(results):
        reads.append(results['img_path'])
        return results

    found = read_thumbnails(ImageFolder(str(tmp_path)), [0, 1, 2], 16, load=[note, dict(type='clim_mm.LoadImage')])
    for i in (0, 1):
        assert found[i].shape == (16, 16, 3) and (found[i] == GREEN[::-1]).all(), 'BGR, nothing of red and blue'
    assert found[2] == 'the file is empty'
    assert len(reads) == 3


def test_smaller_images_are_enlarged(tmp_path):
    Image.new('RGB', (10, 12), BLUE).save(tmp_path / '0.png')
    assert read_thumbnails(ImageFolder(str(tmp_path)), [0], 32)[0].shape == (32, 32, 3)


def test_files_come_back_from_head_and_tail():
    made = pictures()
    jpegs = encode_within(made, 10**7)
    assert jpegs.side == 64 and sorted(jpegs.tails) == sorted(made)
    for i, file in files_of(jpegs).items():
        seen = np.asarray(Image.open(io.BytesIO(file)))[:, :, ::-1].astype(float)
        assert seen.shape == (64, 64, 3)
        assert np.abs(seen - made[i]).mean() < 25  # noise does not survive; another picture would be 60 off
        other = made[(i + 3) % 60]
        assert np.abs(seen - made[i]).mean() < 0.6 * np.abs(seen - other).mean()
    assert len(jpegs.head) > 700, 'the tables are said once'


def test_as_good_as_the_room_admits():
    made = pictures()
    sizes = []
    for most in (10**7, 50_000, 30_000, 15_000, 8_000):
        jpegs = encode_within(made, most)
        assert size_of(jpegs) <= most
        sizes.append(size_of(jpegs))
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 5
    assert encode_within(made, sizes[1]) == encode_within(made, 50_000), 'what just fits is taken'
    smallest = encode_within(made, 1)
    assert smallest.side == 16 and len(smallest.tails) == len(made), 'nothing is left out'


@pytest.mark.parametrize('number', [0, 1])
def test_few_pictures(number):
    jpegs = encode_within(pictures(number), 10**6)
    assert len(files_of(jpegs)) == number
    for file in files_of(jpegs).values():
        assert Image.open(io.BytesIO(file)).size == (64, 64)
