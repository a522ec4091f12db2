"""BYOL and C2BIN of the smallest size, for the tests of the models."""

import copy

import torch
from mmengine.structures import LabelData
from mmselfsup.structures import SelfSupDataSample

from clim_mm.models import BYOL, C2BIN


def neck_cfg(in_channels, out_channels, norm=True, **kwargs):
    return dict(
        type='mmselfsup.NonLinearNeck', in_channels=in_channels, hid_channels=32, out_channels=out_channels,
        with_bias=True, with_last_bn=False, norm_cfg=dict(type='BN1d') if norm else dict(type='GN', num_groups=4),
        **kwargs)


def build(algorithm=BYOL, seed=0, norm=True, shift=1.0, **kwargs):
    """A ResNet-18 with an eighth of the channels; without ``norm`` no image depends on its batch."""
    torch.manual_seed(seed)
    if algorithm is C2BIN:
        kwargs = dict(
            dict(cluster_head=dict(type='clim_mm.ClusterContrastHead', in_channels=64), num_clusters=(2, 4)), **kwargs)
    model = algorithm(
        backbone=dict(
            type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[4],
            norm_cfg=dict(type='BN') if norm else dict(type='GN', num_groups=4)),
        neck=neck_cfg(64, 16, norm, with_avg_pool=True),
        head=dict(
            type='mmselfsup.LatentPredictHead', predictor=neck_cfg(16, 16, norm, with_avg_pool=False),
            loss=dict(type='mmselfsup.CosineSimilarityLoss', shift_factor=shift)),
        **copy.deepcopy(kwargs))
    model.init_weights()
    return model.train()


def total(losses):
    """The sum of the losses, as the framework takes it."""
    return sum(value for name, value in losses.items() if 'loss' in name)


def labelled(labels):
    """Data samples with such labels."""
    samples = [SelfSupDataSample() for _ in labels]
    for sample, label in zip(samples, labels, strict=True):
        sample.gt_label = LabelData(value=torch.tensor([label]))
    return samples


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
