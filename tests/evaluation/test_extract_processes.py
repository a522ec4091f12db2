"""Features of a refresh come from one encoder, whatever the processes have trained on."""

import numpy as np
import pytest
from gloo import on_processes
from mmengine import dist
from tiny_clim import build

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.evaluation.extract import Extraction

PIPELINE = [
    dict(type='clim_mm.LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]
PREPROCESSOR = dict(mean=(128, 128, 128), std=(50, 50, 50), bgr_to_rgb=True)


def features_here(folder, encoder):
    """What a process gets; its batch statistics are the others', moved by its rank."""
    model = build(data_preprocessor=PREPROCESSOR)
    for buffer in model.encoder(encoder).buffers():
        buffer.add_(dist.get_rank())
    settings = dict(pipeline=PIPELINE, batch_size=2, num_workers=0)
    return Extraction('a hook', settings, encoder, 'embedding').features_of(
        model, SingleViews(ImageFolder(str(folder)), PIPELINE))


@pytest.mark.e2e
@pytest.mark.usefixtures('one_torch_thread')
@pytest.mark.parametrize('encoder', ['momentum', 'query'])
def test_all_processes_extract_by_the_batch_statistics_of_the_first(class_folder, encoder):
    expected = features_here(class_folder, encoder)
    first, second = on_processes(2, features_here, class_folder, encoder)
    assert second is None and expected.shape == (12, 16)
    np.testing.assert_array_equal(first, expected)
