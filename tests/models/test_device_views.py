"""The data preprocessor by itself, and a training with it."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmselfsup.models.utils import SelfSupDataPreprocessor
from training_runs import model_cfg, pairs_cfg, train, write_images

from clim_mm.datasets import stack_collate
from clim_mm.datasets.device_views import rendered
from clim_mm.models import DeviceViews
from clim_mm.registry import DATASETS, MODELS

pytestmark = pytest.mark.usefixtures('one_torch_thread')

SETTINGS = dict(mean=(128, 120, 110), std=(50, 60, 70), bgr_to_rgb=True)
PHOTOMETRIC = [
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    dict(type='RandomGrayscale', prob=0.2),
    dict(type='RandomGaussianBlur', sigma_min=0.1, sigma_max=1.0),
    dict(type='RandomFlip', prob=0.5),
]


NAMES = ['query', 'anchor_key', 'positive_key']


def flat(views):
    return [image for images in views.values() for image in images]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('clim_mm'):
        yield


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('images')
    write_images(root, 24)
    return root


def deferred_pairs(folder, **options):
    settings = pairs_cfg(folder)
    views, mixing, pack, tag = settings['pipeline']
    view = [dict(views['view'][0], transforms=PHOTOMETRIC, on_device=True)]
    return dict(settings, pipeline=[dict(views, view=view), dict(mixing, **options), pack, tag])


def batch_of(folder, number=4, **options):
    pairs = DATASETS.build(deferred_pairs(folder, **options))
    pairs.table.publish(((np.arange(24)[:, None] + np.arange(1, 4)) % 24).astype(np.int32))
    pairs.randomness.start_epoch(0, 0)
    return stack_collate(pairs.__getitems__(range(number)))


def test_views_are_rendered_turned_to_rgb_and_normalised(folder):
    batch = batch_of(folder)
    inputs, samples = DeviceViews(**SETTINGS)(batch, training=True)
    plan, draws = samples[0].plan, batch['draws']
    views = rendered(batch['inputs'], draws['photometric'], draws['mixtures'], plan)
    assert list(inputs) == list(views) == NAMES and samples is not None
    for found, view in zip(flat(inputs), flat(views), strict=True):
        mean, std = (torch.tensor(SETTINGS[name]).view(3, 1, 1) for name in ('mean', 'std'))
        torch.testing.assert_close(found, (view.flip(1) - mean) / std)


def test_finished_images_are_treated_as_by_the_frameworks(folder):
    batch = dict(inputs=[torch.randint(0, 256, (2, 3, 8, 8)).to(torch.uint8)], data_samples=[1, 2])
    theirs, ours = SelfSupDataPreprocessor(**SETTINGS), DeviceViews(**SETTINGS)
    assert torch.equal(ours(batch)[0][0], theirs(batch)[0][0]) and ours(batch)[1] == [1, 2]


def test_mixed_precision_does_not_reach_the_pixels(folder):
    batch, preprocessor = batch_of(folder), DeviceViews(**SETTINGS)
    expected = preprocessor(batch)[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = preprocessor(batch)[0]
    for mine, other in zip(flat(found), flat(expected), strict=True):
        assert mine.dtype == torch.float32 and torch.equal(mine, other)


@pytest.mark.parametrize('options', [dict(), dict(same_place=False, unmixed_term=True)])
def test_the_device_is_asked_nothing(folder, options):
    """On the meta device there are no values: whoever asks for one, as by ``.item()`` or a mask, fails."""
    batch = batch_of(folder, **options)
    views = {name: [view.to('meta') for view in views] for name, views in batch['inputs'].items()}
    photometric = {name: rows.to('meta') for name, rows in batch['draws']['photometric'].items()}
    found = rendered(views, photometric, batch['draws']['mixtures'].to('meta'), batch['data_samples'][0].plan)
    assert list(found) == NAMES
    queries = [16, 12] * (2 if options else 1)
    assert [tuple(x.shape) for x in flat(found)] == [(4, 3, r, r) for r in queries + [16, 12] * 2]
    assert {x.device.type for x in flat(found)} == {'meta'}


def test_the_algorithm_takes_them(folder):
    for options in (dict(), dict(unmixed_term=True), dict(per_batch=True)):
        model = MODELS.build(model_cfg(data_preprocessor=dict(SETTINGS, type='DeviceViews')))
        model.init_weights()
        losses = model(*model.data_preprocessor(batch_of(folder, 8, **options), True), mode='loss')
        assert torch.isfinite(losses['loss']) and losses['without_positive'] == 0


@pytest.mark.e2e
def test_a_training_is_the_same_with_any_number_of_workers(folder, tmp_path):
    states = []
    for workers in (0, 2):
        loader = dict(
            batch_size=8, num_workers=workers, persistent_workers=workers > 0, drop_last=True,
            sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='clim_mm.stack_collate'),
            dataset=deferred_pairs(folder))
        _, runner = train(
            folder, tmp_path / str(workers), train_dataloader=loader,
            model=model_cfg(data_preprocessor=dict(SETTINGS, type='DeviceViews')))
        assert runner.iter == 3 and runner.train_dataloader.dataset.table.version == 1
        states.append(runner.model.state_dict())
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
