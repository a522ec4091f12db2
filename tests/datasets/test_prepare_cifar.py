"""CIFAR's official archives, in small, as folders of PNGs."""

import hashlib
import io
import os
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from clim_mm.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))

from prepare_cifar import write_cifar


def pack(path, files):
    with tarfile.open(path, 'w:gz') as tar:
        for name, content in files.items():
            data = pickle.dumps(content, protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return str(path)


def sums(archive, kind):
    return {hashlib.md5(Path(archive).read_bytes()).hexdigest(): kind}


def batch(value, **labels):
    """Two images of one value in red and another in green; blue is 0. A row is 1,024 of red, then green, then blue."""
    data = np.zeros((2, 3072), np.uint8)
    data[:, :1024], data[:, 1024:2048] = [[value], [value + 1]], 200
    data[:, 1] = 99  # red, first row, second column
    return dict(data=data, **labels)


@pytest.fixture
def cifar10(tmp_path):
    folder = 'cifar-10-batches-py'
    files = {f'{folder}/data_batch_{i}': batch(10 * i, labels=[0, 1]) for i in range(1, 6)}
    files |= {f'{folder}/test_batch': batch(60, labels=[1, 1]), f'{folder}/batches.meta': dict(
        label_names=['cat', 'dog'])}
    return pack(tmp_path / 'cifar10.tar.gz', files)


def listed(root):
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob('*') if path.is_file())


def test_cifar10_with_the_whole(cifar10, tmp_path):
    out = tmp_path / 'data' / 'cifar10'
    assert write_cifar(cifar10, str(out), whole=True, sums=sums(cifar10, CIFAR10))
    assert listed(out / 'train') == [f'{name}/0000{i}.png' for name in ('cat', 'dog') for i in range(1, 6)]
    assert listed(out / 'test') == ['dog/00001.png', 'dog/00002.png']
    assert len(listed(out / 'whole')) == 12 and {'dog/test_00001.png', 'dog/train_00001.png'} <= set(
        listed(out / 'whole'))
    pixels = np.asarray(Image.open(out / 'train/dog/00002.png'))  # the second image of the second batch
    assert pixels.shape == (32, 32, 3)
    assert pixels[0, 0].tolist() == [21, 200, 0] and pixels[0, 1].tolist() == [99, 200, 0]
    assert pixels[1, 0].tolist() == [21, 200, 0]
    assert not write_cifar('nowhere', str(out)), 'what is finished is left alone'


def test_cifar100_has_superclasses(tmp_path):
    files = {f'cifar-100-python/{part}': batch(5, fine_labels=[1, 0], coarse_labels=[0, 1])
             for part in ('train', 'test')}
    files['cifar-100-python/meta'] = dict(fine_label_names=['trout', 'oak'], coarse_label_names=['trees', 'fish'])
    archive = pack(tmp_path / 'a.tar.gz', files)
    write_cifar(archive, str(tmp_path / 'out'), sums=sums(archive, CIFAR100))
    assert listed(tmp_path / 'out') == [
        'superclasses.txt', *(f'{part}/{name}/00001.png' for part in ('test', 'train') for name in ('oak', 'trout'))]
    assert (tmp_path / 'out' / 'superclasses.txt').read_text() == 'oak\ttrees\ntrout\tfish\n'


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ('harmed', )


def test_what_is_no_archive_leaves_nothing(cifar10, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = str(tmp_path / 'out')
    with pytest.raises(DataError, match='There is no file'):
        write_cifar('nowhere.tar.gz', out)
    with pytest.raises(DataError, match='was cut or is another file'):
        write_cifar(cifar10, out)
    cut = tmp_path / 'cut.tar.gz'
    cut.write_bytes(Path(cifar10).read_bytes()[:-200])
    evil = pack(tmp_path / 'evil.tar.gz', {'cifar-10-batches-py/batches.meta': Evil()})
    for archive in (str(cut), evil):
        with pytest.raises(DataError, match='cannot be read as CIFAR10'):
            write_cifar(archive, out, sums=sums(archive, CIFAR10))
    assert listed(tmp_path) == ['cifar10.tar.gz', 'cut.tar.gz', 'evil.tar.gz'] and not Path('harmed').exists()


def test_an_interrupted_run_leaves_nothing(cifar10, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('prepare_cifar.link', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_cifar(cifar10, str(tmp_path / 'out'), whole=True, sums=sums(cifar10, CIFAR10))
    assert os.listdir(tmp_path) == ['cifar10.tar.gz']
