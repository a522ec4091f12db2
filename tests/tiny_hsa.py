"""HSA models of the smallest size, and batches for them."""

import copy

import torch
from tiny_clim import images

from clim_mm.models import HSA

HSA_HEAD = dict(type='clim_mm.MultiPositiveHead', temperature=0.2)
NECK = dict(type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=32, out_channels=16, with_avg_pool=True)
LEVELS = dict(res4=dict(NECK, in_channels=32), res5=NECK)
QUERIES = ('anchor_query', 'positive_query', 'query')


def build_hsa(neck=NECK, head=HSA_HEAD, seed=0, **kwargs):
    """The network of ``tiny_clim``, by default with one level."""
    torch.manual_seed(seed)
    model = HSA(
        backbone=dict(
            type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8,
            out_indices=[4] if 'type' in neck else [3, 4], norm_cfg=dict(type='BN')),
        neck=copy.deepcopy(neck), head=copy.deepcopy(head),
        **dict(dict(queue_len=24, feat_dim=16, momentum=0.9, bn_splits=1, warmup=0.0), **kwargs))
    model.init_weights()
    return model


def hsa_views(num_positives=1, num_crops=0, num_samples=8, dtype=torch.float32):
    """Views of 32 pixels by their names, and crops of 16."""
    flat = iter(images(4 + num_positives, num_samples, dtype=dtype))
    views = {name: [next(flat)] for name in (*QUERIES, 'anchor_key', 'positive_key')}
    views.update({f'positive_key_{i}': [next(flat)] for i in range(2, 1 + num_positives)})
    if num_crops:
        views['anchor_crops'] = images(num_crops, num_samples, sizes=(16, ), seed=1, dtype=dtype)
    return views
