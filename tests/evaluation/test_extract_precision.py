"""The refresh's features in bfloat16 and with the channels innermost, against those in float32."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from tiny_clim import build
from training_runs import model_cfg

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.evaluation import frozen_features
from clim_mm.hooks.center_wise_neighbor_hook import CenterWiseNeighborHook

pytestmark = pytest.mark.usefixtures('one_torch_thread')

PIPELINE = [
    dict(type='clim_mm.LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]


@pytest.fixture
def model():
    init_default_scope('clim_mm')
    return build(data_preprocessor=model_cfg()['data_preprocessor'])


def features(model, folder, **options):
    """(N, d), in batches of 5, and the types of what the encoder's first convolution gave."""
    dtypes = []
    handle = model.encoder('momentum')[0].conv1.register_forward_hook(
        lambda layer, inputs, output: dtypes.append((output.dtype, not output.is_contiguous())))
    extract = dict(pipeline=PIPELINE, batch_size=5, num_workers=0, **options)
    extraction = CenterWiseNeighborHook(extract=extract).extraction
    found = extraction.features_of(model, SingleViews(ImageFolder(str(folder)), PIPELINE))
    handle.remove()
    return found, dtypes


@pytest.mark.parametrize('amp', [False, True])
@pytest.mark.parametrize('channels_last', [False, True])
def test_the_features_are_those_of_float32(model, class_folder, amp, channels_last):
    expected, plain = features(model, class_folder)
    assert plain == [(torch.float32, False)] * 3, 'the options are off by default'
    found, dtypes = features(model, class_folder, amp=amp, channels_last=channels_last)
    assert dtypes == [(torch.bfloat16 if amp else torch.float32, channels_last)] * 3
    assert found.dtype == np.float32 and model.training
    cosines = (found * expected).sum(axis=1)
    assert cosines.min() > (0.999 if amp else 1 - 1e-5)
    assert np.array_equal(found, expected) == (not amp and not channels_last)
    others = expected @ expected.T - 2 * np.eye(len(expected))
    assert others.max() < 0.999, 'images are told apart by more than that'


def test_evaluations_compute_in_float32(model, class_folder):
    views = SingleViews(ImageFolder(str(class_folder)), PIPELINE)
    expected = frozen_features(model.eval(), views, dict(batch_size=5, num_workers=0))
    options = dict(batch_size=5, num_workers=0, amp=True, channels_last=True)
    np.testing.assert_array_equal(frozen_features(model, views, options), expected)
