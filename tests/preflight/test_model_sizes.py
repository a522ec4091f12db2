"""Bytes of models, counted by hand."""

from mmengine.registry import DefaultScope
from torch import nn
from training_runs import model_cfg

from clim_mm.preflight.model_sizes import ModelSizes, sizes_of
from clim_mm.registry import MODELS


def test_a_model_without_queue():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False).requires_grad_(False).half())
    # 16 + 8 float32; 8 float16; the statistics, 8 float32, and an int64 count.
    assert sizes_of(model) == ModelSizes(trainable=96, frozen=16, buffers=40, queue=0)
    assert sizes_of(model).total == 152


def test_the_momentum_encoder_is_as_large_as_the_encoder():
    with DefaultScope.overwrite_default_scope('clim_mm'):
        model = MODELS.build(model_cfg(queue_len=50))
    sizes = sizes_of(model)
    assert sizes.trainable == sizes.frozen == 4 * sum(p.numel() for p in [*model.backbone.parameters(),
                                                                          *model.neck.parameters()])
    assert sizes.queue == 16 * 50 * 4
    in_checkpoint = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert in_checkpoint <= sizes.total < in_checkpoint + 100, 'means and deviations of the images are not in it'
