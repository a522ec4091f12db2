"""CLIM models of the smallest size, and batches for them, for the tests of the model."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.structures import InstanceData
from mmselfsup.structures import SelfSupDataSample

from clim_mm.models import CLIM

MOCO_HEAD = dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss'), temperature=0.2)
CLIM_HEAD = dict(type='clim_mm.MixedContrastiveHead', temperature=0.2)


def build(algorithm=CLIM, head=CLIM_HEAD, queue_len=24, seed=0, norm='BN', **kwargs):
    """A ResNet-18 with an eighth of the channels, on images of 32 pixels and less."""
    torch.manual_seed(seed)
    if algorithm is CLIM:
        kwargs.setdefault('bn_splits', 1)
    model = algorithm(
        backbone=dict(
            type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[4],
            norm_cfg=dict(type='BN') if norm == 'BN' else dict(type=norm, num_groups=4)),
        neck=dict(type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=32, out_channels=16, with_avg_pool=True),
        head=copy.deepcopy(head),
        queue_len=queue_len,
        feat_dim=16,
        momentum=0.9,
        **kwargs)
    model.init_weights()
    return model


def images(num_views, num_samples=8, sizes=(32, ), seed=0, dtype=torch.float32):
    """``num_views`` batches at each of the sizes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(num_samples, 3, r, r, generator=generator, dtype=torch.float64).to(dtype)
            for _ in range(num_views) for r in sizes]


def named(views, num_queries=None):
    """A flat list of views by their names: queries, anchor keys, positive keys (or none: MoCo's views).

    Queries are as many as the keys of an image, if nothing is said; keys are at distinct resolutions.
    """
    sizes = [x.shape[-1] for x in views]
    num_queries = len(set(sizes)) if num_queries is None else num_queries
    keys = views[num_queries:]
    num_keys = len({x.shape[-1] for x in keys})
    return dict(query=views[:num_queries], anchor_key=keys[:num_keys], positive_key=keys[num_keys:])


def samples(lam, ids=None, positives=None):
    """Data samples with one list of lam each, and the ids of their images if these are given."""
    made = [SelfSupDataSample(metainfo=dict(lam=row)) for row in lam]
    for sample, i in zip(made, ids or [], strict=ids is not None):
        sample.sample_idx = InstanceData(value=np.array([i]))
    for sample, i in zip(made, positives or [], strict=positives is not None):
        sample.set_metainfo(dict(positive_idx=i))
    return made


def separated(**kwargs):
    """A float64 model in train mode whose momentum encoder is not a copy of the query encoder."""
    model = build(**kwargs).double()
    model.encoder_k.steps.fill_(1)  # MMEngine's average is a plain copy at step 0
    torch.manual_seed(17)
    with torch.no_grad():
        for parameter in model.encoder('query').parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def nce(q, key, queue, temperature=0.2):
    """Equation 1 for each query: the cross entropy of the positive, the first of all logits."""
    logits = torch.cat([(q * key).sum(dim=1, keepdim=True), q @ queue], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long), reduction='none')


class TwoConvolutions(nn.Module):
    """A backbone of two convolutions with batch normalisation."""

    def __init__(self, channels=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())

    def forward(self, x):  # noqa: D102
        return [self.layers(x)]


def build_two_convolutions(bn_splits, queue_len=256, momentum=0.99, temperature=0.1, seed=0):
    """CLIM on :class:`TwoConvolutions`, in train mode."""
    torch.manual_seed(seed)
    return CLIM(
        backbone=dict(type=TwoConvolutions),
        neck=dict(type='mmselfsup.MoCoV2Neck', in_channels=8, hid_channels=32, out_channels=16, with_avg_pool=True),
        head=dict(CLIM_HEAD, temperature=temperature),
        queue_len=queue_len,
        feat_dim=16,
        momentum=momentum,
        bn_splits=bn_splits).train()


class Products:
    """What reaches the head of a model: queries and keys, from a hook on the module."""

    def __init__(self, model):
        self.queries, self.anchor_keys, self.positive_keys = [], [], []  # one for each call, at the first resolution
        model.head.register_forward_pre_hook(self._note)

    def _note(self, head, inputs):
        q, anchor_keys, positive_keys, *_ = inputs
        self.queries.append(q.detach())
        self.anchor_keys.append(anchor_keys[0])
        self.positive_keys += positive_keys[:1]
