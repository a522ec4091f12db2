"""The configs of CIFAR's images: the same views for every method, and the image as it is for evaluations."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

DATASETS = Path(__file__).parents[1] / 'configs' / '_base_' / 'datasets'


def load(name):
    return Config.fromfile(DATASETS / f'{name}.py')


@pytest.mark.parametrize('data', ['cifar10', 'cifar100'])
def test_every_method_draws_the_same_views(data):
    pairs, views = load(f'{data}_clim'), load(f'{data}_two_views')
    (crop, *photometric), = views.train_dataloader.dataset.pipeline[1].transforms
    (view, ) = pairs.train_dataloader.dataset.pipeline[0].view
    assert (crop.size, crop.scale) == (32, (0.08, 1.0)) and (view.resolutions, view.scale) == ((32, ), (0.08, 1.0))
    assert photometric == view.transforms
    assert [transform.type for transform in photometric] == ['RandomApply', 'RandomGrayscale', 'RandomFlip']
    for cfg in (pairs, views):
        source = cfg.train_dataloader.dataset.dataset
        assert (source.data_root, source.data_prefix, dict(cfg.held_out)) == (
            f'data/{data}', 'train', dict(data_prefix='test'))


def test_evaluations_are_given_the_image_as_it_is(tmp_path):
    init_default_scope('clim_mm')
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    image = dict(img_path=str(tmp_path / 'a.png'), sample_idx=3, gt_label=1)
    (extracted, ) = Compose(load('cifar10_clim').whole_image.pipeline)(dict(image))['inputs']
    tested = Compose(load('cifar10_labels').test_dataloader.dataset.pipeline)(dict(image))['inputs']
    for got in (extracted, tested):
        assert np.array_equal(got.numpy().transpose(1, 2, 0)[..., ::-1], pixels)  # BGR, as LoadImage gives it
