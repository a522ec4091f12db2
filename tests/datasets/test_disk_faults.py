"""A disk or a network that fails for a moment, or for longer: no image is to blame."""

import errno
import os

import pytest
from colored_images import REASONS, empty, write_colored
from flaky_storage import FlakyBackend  # noqa: F401  (registers itself)

from clim_mm import storage
from clim_mm.datasets import (
    ImageFolder,
    LoadImage,
    MultiRes,
    NeighborPairs,
    PackPair,
    PairViews,
    Quarantine,
    SingleViews,
)
from clim_mm.datasets.manifest import Manifest
from clim_mm.datasets.source import build_source
from clim_mm.errors import DataError, StorageError
from clim_mm.visualization.page import read_thumbnails

N = 24
PACK = dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx'])


@pytest.fixture
def paths(tmp_path):
    return write_colored(tmp_path / 'images', N)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(storage, 'PAUSES', (0.0, ) * 8)


def pairs(paths, **backend):
    load = LoadImage(backend_args=dict(backend='flaky', **backend) if backend else None)
    return NeighborPairs(
        dict(type='ImageFolder', data_root=str(paths[0].parent)),
        [PairViews([load], [MultiRes((10, 8))]), PackPair()], max_unreadable=0.9)


def views(paths, **backend):
    load = dict(type='clim_mm.LoadImage', backend_args=dict(backend='flaky', **backend) if backend else None)
    return SingleViews(ImageFolder(str(paths[0].parent)), [load, PACK], Quarantine(N, 0.9))


@pytest.mark.parametrize('number', [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
@pytest.mark.parametrize('make', [pairs, views])
def test_reads_that_fail_now_and_then_lose_no_image(paths, make, number):
    empty(paths[5])
    dataset = make(paths, every=3, number=number)
    for _ in range(3):
        samples = [dataset[i] for i in range(N)]
    own = [isinstance(sample, dict) and int(sample['data_samples'].sample_idx.value) == i
           for i, sample in enumerate(samples)]
    assert own == [i != 5 for i in range(N)], 'the damaged one alone has no place'


@pytest.mark.parametrize('make', [pairs, views])
def test_a_storage_that_fails_on_stops_the_run(paths, make):
    dataset = make(paths, only='07.png')
    with pytest.raises(StorageError, match='The storage of .*07.png has failed for 0 s .*Input/output error'):
        for i in range(N):
            dataset[i]
    assert len(dataset.quarantine) == 0


def test_files_that_are_all_gone_stop_the_run(paths):
    dataset = pairs(paths)
    paths[0].parent.rename(paths[0].parents[1] / 'elsewhere')
    with pytest.raises(DataError, match='100 images in a row cannot be read .* No such file or directory'):
        dataset[3]


def test_single_files_that_are_gone_are_bad_images(paths):
    dataset = pairs(paths)
    for number in (3, 4):
        paths[number].unlink()
    for i in range(N):
        dataset[i]
    assert [i for i in range(N) if dataset.quarantine.holds(i)] == [3, 4]


def test_missing_images_are_tried_again(paths):
    dataset, reason = pairs(paths), REASONS[empty]
    dataset.quarantine.add({
        2: f'{paths[2]}\tInput/output error', 3: f'{paths[3]}\tNo such file or directory', 4: f'{paths[4]}\t{reason}',
        5: f'{paths[5]}\tNo such file or directory'})
    assert dataset.quarantine.release_missing() == 3
    assert dataset.quarantine.readable.tolist() == [i for i in range(N) if i != 4], 'the damaged one stays'
    assert list(dataset.quarantine.entries) == [4]


@pytest.mark.skipif(not os.path.exists('/proc/self/mem'), reason='no file here fails by itself')
def test_every_reader_of_images_asks_again(paths):
    paths[5].unlink()
    paths[5].symlink_to('/proc/self/mem')  # its first read ends in EIO
    folder = ImageFolder(str(paths[0].parent))
    for read in (lambda: LoadImage()(dict(img_path=str(paths[5]))),
                 lambda: read_thumbnails(folder, [4, 5], 16, [LoadImage()]), lambda: pairs(paths)[5]):
        with pytest.raises(StorageError, match='05.png has failed .*Input/output error'):
            read()


def test_a_folder_or_a_size_that_does_not_answer_is_no_other_data(paths, monkeypatch):
    folder, ask = ImageFolder(str(paths[0].parent)), os.stat
    before = Manifest.of(folder).digest
    left = [None] * 3

    def fail_at_first(path, **options):
        if str(path).endswith('.png') and left:
            left.pop()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        return ask(path, **options)

    monkeypatch.setattr(os, 'stat', fail_at_first)
    assert Manifest.of(folder).digest == before and left == []
    monkeypatch.setattr(os, 'scandir', lambda path: (_ for _ in ()).throw(OSError(errno.EIO, 'Input/output error')))
    with pytest.raises(StorageError, match=f'storage of {paths[0].parent} has failed'):
        build_source(dict(type='ImageFolder', data_root=str(paths[0].parent)))
