"""One view of each image, under its own id or not at all."""

import numpy as np
import pytest
import torch
from PIL import Image

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.errors import DataError

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


def test_an_image_that_cannot_be_read_is_not_replaced_by_another(class_folder):
    (class_folder / 'dog' / '2.png').write_bytes(b'no image')
    views = SingleViews(ImageFolder(str(class_folder)), PIPELINE)
    with pytest.raises(DataError, match='Cannot read the image .*dog/2.png'):
        views[8]
    assert int(views[9]['data_samples'].sample_idx.value) == 9


def test_a_pipeline_that_gives_nothing_is_not_called_again(class_folder):
    calls = []
    views = SingleViews(ImageFolder(str(class_folder)), [lambda results: calls.append(results['sample_idx'])])
    assert views[3] is None and calls == [3]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match='does not exist'):
        SingleViews(dict(type='ImageFolder', data_root=str(tmp_path / 'nowhere')), PIPELINE)
