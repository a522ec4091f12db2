"""STL-10's official archive, in small, as folders of PNGs."""

import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clim_mm.datasets import ClassFolder
from clim_mm.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))

from prepare_stl10 import write_stl10


def images(values):
    """Of one value in red; the pixel in the first row, second column is 99 there, since columns come first."""
    pixels = np.zeros((len(values), 3, 96, 96), np.uint8)
    pixels[:, 0] = np.array(values)[:, None, None]
    pixels[:, 0, 1, 0] = 99
    return pixels.tobytes()


FILES = dict(train_X=images([1, 2, 3]), train_y=bytes([2, 1, 2]), test_X=images([4]), test_y=bytes([1]),
             unlabeled_X=images([5, 6]))


def packed(path, **changed):
    with tarfile.open(path, 'w:gz') as tar:
        files = {f'{name}.bin': content for name, content in dict(FILES, **changed).items() if content is not None}
        for name, content in dict(files, **{'class_names.txt': b'airplane\nbird\n'}).items():
            entry = tarfile.TarInfo(f'stl10_binary/{name}')
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return str(path), {hashlib.md5(Path(path).read_bytes()).hexdigest(): 'STL-10'}


def test_the_folders_are_a_training_set(tmp_path):
    archive, sums = packed(tmp_path / 'stl.tar.gz')
    out = tmp_path / 'data' / 'stl10'
    assert write_stl10(archive, str(out), whole=True, sums=sums)
    assert sorted(str(path.relative_to(out)) for path in out.rglob('*.png')) == [
        'test/airplane/00001.png', 'train/airplane/00001.png', 'train/bird/00001.png', 'train/bird/00002.png',
        'unlabelled/000001.png', 'unlabelled/000002.png', 'whole/airplane/test_00001.png',
        'whole/airplane/train_00001.png', 'whole/bird/train_00001.png', 'whole/bird/train_00002.png']
    pixels = np.asarray(Image.open(out / 'train/bird/00002.png'))
    assert pixels.shape == (96, 96, 3)
    assert pixels[0, 0].tolist() == [3, 0, 0] and pixels[0, 1].tolist() == [99, 0, 0] and pixels[1, 0, 0] == 3
    dataset = ClassFolder(data_root=str(out), data_prefix='train', unlabelled='unlabelled')
    assert [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))] == [0, 1, 1, -1, -1]
    assert not write_stl10('nowhere', str(out)), 'what is finished is left alone'


@pytest.mark.parametrize('changed', [
    dict(train_y=bytes([2, 1])), dict(train_y=bytes([2, 1, 3])), dict(test_X=images([4])[:-5]), dict(unlabeled_X=None)])
def test_another_archive_leaves_nothing(tmp_path, changed):
    archive, sums = packed(tmp_path / 'stl.tar.gz', **changed)
    with pytest.raises(DataError, match='cannot be read as STL-10'):
        write_stl10(archive, str(tmp_path / 'out'), sums=sums)
    with pytest.raises(DataError, match='was cut or is another file'):
        write_stl10(archive, str(tmp_path / 'out'))
    assert os.listdir(tmp_path) == ['stl.tar.gz']
