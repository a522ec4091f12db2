"""Images of every kind, opened."""

import os

import numpy as np
import pytest
from PIL import Image

from clim_mm.datasets import ImageFolder, LoadImage, MultiRes, NeighborPairs, PackPair, PairViews
from clim_mm.datasets.transforms.load_image import loader_of
from clim_mm.preflight.image_sample import sample_images, source_of, spread_ids


def test_ids_are_spread_over_the_set():
    ids = spread_ids(1000, 10, seed=0)
    assert [sample_idx // 100 for sample_idx in ids] == list(range(10))
    assert spread_ids(1000, 10, seed=0) == ids != spread_ids(1000, 10, seed=1)
    assert spread_ids(5, 64, seed=0) == [0, 1, 2, 3, 4]


def noise(height, width, channels=3, dtype=np.uint8):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


@pytest.fixture
def odd_folder(tmp_path):
    """Twelve images: nine readable ones of every mode, and three that are not."""
    color = Image.fromarray(noise(10, 20))
    color.save(tmp_path / '00.png')
    Image.fromarray(noise(30, 20)).save(tmp_path / '01.jpg')
    Image.fromarray(noise(8, 8, 1)).save(tmp_path / '02_grey.png')
    Image.fromarray(noise(8, 9, 4)).save(tmp_path / '03_alpha.png')
    color.convert('CMYK').save(tmp_path / '04_cmyk.jpg')
    Image.fromarray(noise(8, 9, 1, np.uint16)).save(tmp_path / '05_16bit.png')
    color.convert('P').save(tmp_path / '06_palette.png')
    color.save(tmp_path / '07.bmp')
    color.convert('1').save(tmp_path / '08_bits.png')
    content = (tmp_path / '01.jpg').read_bytes()
    (tmp_path / '09_cut.jpg').write_bytes(content[:30])
    (tmp_path / '10_empty.png').write_bytes(b'')
    (tmp_path / '11_text.jpg').write_text('no image')
    return tmp_path


def test_what_is_in_the_images(odd_folder):
    sample = sample_images(ImageFolder(str(odd_folder)), seconds=60)
    assert (sample.opened, sample.unreadable) == (12, 3)
    assert sample.readable_ids == tuple(range(9))
    assert (sample.smallest, sample.largest) == ((8, 8), (20, 30))
    lengths = [path.stat().st_size for path in sorted(odd_folder.iterdir())[:9]]
    assert sample.mean_bytes == pytest.approx(np.mean(lengths))
    assert sample.read_seconds > 0
    assert any(name in sample.first_unreadable for name in ('09_cut.jpg (', '10_empty.png (', '11_text.jpg ('))


def test_an_image_that_has_gone(class_folder):
    source = ImageFolder(str(class_folder))
    (class_folder / 'cat' / '3.png').unlink()
    sample = sample_images(source, seconds=60)
    assert (sample.opened, sample.unreadable) == (12, 1)
    assert sample.first_unreadable == f'{class_folder}/cat/3.png (No such file or directory)'
    assert 3 not in sample.readable_ids


def test_a_pipe_is_not_waited_for(class_folder):
    os.mkfifo(class_folder / 'cat' / 'pipe.png')
    sample = sample_images(ImageFolder(str(class_folder)), seconds=60)
    assert (sample.opened, sample.unreadable) == (13, 1)
    assert sample.first_unreadable == f'{class_folder}/cat/pipe.png (it is a pipe or a device)'


def test_nothing_readable(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    sample = sample_images(ImageFolder(str(tmp_path)))
    assert (sample.opened, sample.unreadable, sample.readable_ids) == (1, 1, ())
    assert sample.smallest is None and sample.mean_bytes == 0


def test_no_more_images_than_asked_for_or_than_there_is_time_for(class_folder):
    source = ImageFolder(str(class_folder))
    assert sample_images(source, 5, seconds=60).opened == 5
    assert sample_images(source, seconds=0).opened == 1


def test_the_same_seed_opens_the_same_images(class_folder):
    source = ImageFolder(str(class_folder))
    opened = [sample_images(source, 4, seed, seconds=60).readable_ids for seed in (1, 1, 2)]
    assert opened[0] == opened[1] != opened[2]


def test_the_source_inside_a_dataset(class_folder):
    source = ImageFolder(str(class_folder))
    assert source_of(source) is source
    assert source_of(NeighborPairs(source, [PackPair()])) is source
    assert source_of([1, 2]) is None


def test_what_the_listing_left_out(tmp_path):
    Image.fromarray(noise(8, 9)).save(tmp_path / 'a.png')
    (tmp_path / 'b.heic').touch()
    found = sample_images(ImageFolder(str(tmp_path))).left_out
    assert found == '1 other, hidden or repeated files and folders (b.heic)'


@pytest.mark.parametrize('pipeline', [
    [LoadImage(max_value=7)], [PairViews([LoadImage(max_value=7)], [MultiRes((16, 12))]), PackPair()]])
def test_the_loader_of_a_pipeline(tmp_path, pipeline):
    Image.fromarray(noise(8, 9)).save(tmp_path / 'a.png')
    assert loader_of(NeighborPairs(ImageFolder(str(tmp_path)), pipeline)).max_value == 7
    assert loader_of(NeighborPairs(ImageFolder(str(tmp_path)), [PackPair()])).max_value is None
