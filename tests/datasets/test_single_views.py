"""One view of each image, under its own id or not at all."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from clim_mm.datasets import ImageFolder, NoView, Quarantine, SingleViews, stack_collate
from clim_mm.errors import ConfigError, DataError, UnreadableImage, sentence
from clim_mm.registry import DATASETS

PIPELINE = [
    dict(type='clim_mm.LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]
NAMES = [f'{name}/{i}.png' for name in ('cat', 'dog') for i in range(6)]


@pytest.mark.parametrize('type_', ['ImageFolder', 'mmcls.CustomDataset'])
def test_each_image_under_its_own_id(class_folder, type_):
    views = SingleViews(dict(type=type_, data_root=str(class_folder)), PIPELINE)
    assert len(views) == 12
    for i in (0, 5, 11):
        sample = views[i]
        assert int(sample['data_samples'].sample_idx.value) == i
        pixels = np.asarray(Image.open(class_folder / NAMES[i]))[..., ::-1].transpose(2, 0, 1)  # BGR
        assert len(sample['inputs']) == 1
        assert torch.equal(sample['inputs'][0], torch.from_numpy(pixels.copy()))


def test_a_view_repeats_itself(class_folder):
    views = SingleViews(ImageFolder(str(class_folder)), PIPELINE)
    assert torch.equal(views[4]['inputs'][0], views[4]['inputs'][0])
    assert not torch.equal(views[4]['inputs'][0], views[5]['inputs'][0])


def test_the_pipeline_of_the_wrapped_dataset_is_not_run(class_folder):
    built = ImageFolder(str(class_folder), pipeline=[lambda results: 1 / 0])
    views = SingleViews(built, [lambda results: (results['sample_idx'], results['img_path'])])
    assert views.dataset is built
    assert [views[i] for i in range(12)] == [(i, str(class_folder / name)) for i, name in enumerate(NAMES)]


BAD = 8  # dog/2.png


@pytest.fixture
def with_a_bad_one(class_folder):
    """The folder, one of whose images is none."""
    (class_folder / NAMES[BAD]).write_bytes(b'no image')
    return class_folder


def test_an_image_that_cannot_be_read_is_not_replaced_by_another(with_a_bad_one):
    views = SingleViews(ImageFolder(str(with_a_bad_one)), PIPELINE)
    with pytest.raises(UnreadableImage, match='Cannot read the image .*dog/2.png'):
        views[BAD]
    assert int(views[9]['data_samples'].sample_idx.value) == 9


@pytest.mark.parametrize('wrap', [True, False], ids=['SingleViews', 'a dataset of another framework'])
def test_a_bad_image_in_a_worker_is_told_in_one_sentence(with_a_bad_one, wrap):
    cfg = dict(type='mmcls.CustomDataset', data_root=str(with_a_bad_one))
    views = SingleViews(cfg, PIPELINE) if wrap else DATASETS.build(dict(cfg, pipeline=PIPELINE))
    batches = iter(DataLoader(views, 6, num_workers=1, collate_fn=stack_collate))
    assert [int(sample.sample_idx.value) for sample in next(batches)['data_samples']] == list(range(6))
    with pytest.raises(UnreadableImage) as caught:
        next(batches)
    batches._shutdown_workers()  # left to the garbage collector, the worker would take five seconds to stop
    assert 'Traceback' in str(caught.value) and 'DataLoader worker process 0' in str(caught.value)
    assert sentence(caught.value) == (
        f'Cannot read the image {with_a_bad_one / NAMES[BAD]} (it is cut off or damaged, or of a kind that '
        'is not read): replace it or take it out of the data folder.')


def test_with_a_quarantine_nothing_stands_in_its_place(with_a_bad_one):
    quarantine = Quarantine(12)
    views = SingleViews(ImageFolder(str(with_a_bad_one)), PIPELINE, quarantine)
    entry = f'{with_a_bad_one / NAMES[BAD]}\tit is cut off or damaged, or of a kind that is not read'
    for i in range(12):
        if i != BAD:
            assert int(views[i]['data_samples'].sample_idx.value) == i
    assert views[BAD] == NoView(BAD, entry)
    quarantine.add({BAD: entry})
    assert views[BAD] == NoView(BAD), 'known already'


def test_what_the_quarantine_holds_is_not_read(class_folder):
    quarantine = Quarantine(12)
    quarantine.add({3: 'cat/3.png\tit was cut off'})
    views = SingleViews(ImageFolder(str(class_folder)), PIPELINE, quarantine)
    assert views[3] == NoView(3) and int(views[4]['data_samples'].sample_idx.value) == 4


def test_other_errors_are_no_matter_for_the_quarantine(class_folder):
    quarantine = Quarantine(12)
    views = SingleViews(ImageFolder(str(class_folder)), [lambda results: 1 / 0], quarantine)
    with pytest.raises(ConfigError, match='fails on the image with id 3 .ZeroDivisionError: division by zero.'):
        views[3]
    assert len(quarantine) == 0


def test_a_pipeline_that_gives_nothing_is_not_called_again(class_folder):
    calls = []
    views = SingleViews(ImageFolder(str(class_folder)), [lambda results: calls.append(results['sample_idx'])])
    assert views[3] is None and calls == [3]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match='does not exist'):
        SingleViews(dict(type='ImageFolder', data_root=str(tmp_path / 'nowhere')), PIPELINE)
