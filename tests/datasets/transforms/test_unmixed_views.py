"""Views beside those of CLIM: unmixed queries, crops of the anchor, keys of further positives."""

import random

import numpy as np
import pytest
import torch
from mmselfsup.datasets.transforms import MultiView

from clim_mm.datasets import CutMix, LoadImage, MultiRes, PackPair, PairViews, stack_collate
from clim_mm.datasets.device_views import rendered
from clim_mm.errors import ConfigError


def sample(folder, on_device=False, mixing=True, others=(), crops=(), **options):
    """A packed sample, drawn with seed 0."""
    random.seed(0)
    np.random.seed(0)
    info = {name: dict(img_path=str(folder / path)) for name, path in
            [('anchor', 'cat/1.png'), ('positive', 'dog/3.png')]}
    if others:
        info.update(other_positives=[dict(img_path=str(folder / path)) for path in others], other_idx=(5, ))
    small = [[MultiRes(side, scale=(0.05, 0.14), on_device=on_device)] for side in crops]
    results = PairViews([LoadImage()], [MultiRes((24, ), on_device=on_device)], mixed=mixing,
                        crops=[MultiView(small, [1] * len(small))] if small else [], **options)(
        dict(info, sample_idx=1, positive_idx=9, table_version=0, rng=np.random.default_rng(0)))
    return PackPair()(CutMix()(results) if mixing else results)


def views(packed):
    """What the network is fed: finished on the device, if they are deferred."""
    if 'draws' not in packed:
        return packed['inputs']
    batch = stack_collate([packed])
    finished = rendered(batch['inputs'], batch['draws']['photometric'], batch['draws'].get('mixtures'),
                        packed['data_samples'].plan)
    return {name: [image[0].to(torch.uint8) for image in images] for name, images in finished.items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, images in expected.items():
        for here, there in zip(found[name], images, strict=True):
            assert torch.equal(here, there), name


@pytest.mark.parametrize('on_device', [False, True])
def test_unmixed_queries_are_those_that_are_mixed(class_folder, on_device):
    packed = sample(class_folder, on_device, unmixed=('anchor', 'positive'))
    found, clim = views(packed), views(sample(class_folder, on_device))
    assert {*found} == {'query', 'anchor_query', 'positive_query', 'anchor_key', 'positive_key'}
    assert_same({name: found[name] for name in clim}, clim)
    query, anchor, positive = (found[name][0] for name in ('query', 'anchor_query', 'positive_query'))
    of_positive = (query != anchor).any(dim=0)
    assert 0 < of_positive.sum() < of_positive.numel()
    assert (query[:, of_positive] == positive[:, of_positive]).all()
    (lam, ) = packed['data_samples'].lam
    assert lam <= 1 - of_positive.float().mean().item() + 1e-6  # pixels may be alike by chance
    one = views(sample(class_folder, on_device, unmixed=('positive', )))
    assert {*one} == {'query', 'positive_query', 'anchor_key', 'positive_key'}


def test_the_device_finishes_all_views_as_the_workers_do(class_folder):
    options = dict(unmixed=('anchor', 'positive'), others=['dog/2.png'], crops=[12, 8])
    assert_same(views(sample(class_folder, True, **options)), views(sample(class_folder, False, **options)))


@pytest.mark.parametrize('on_device', [False, True])
def test_without_mixing_no_view_is_drawn_twice(class_folder, on_device):
    both = views(sample(class_folder, on_device, mixing=False, unmixed=('anchor', 'positive')))
    assert {*both} == {'anchor_query', 'positive_query', 'anchor_key', 'positive_key'}
    assert_same(both, {name: images for name, images in views(sample(
        class_folder, on_device, unmixed=('anchor', 'positive'))).items() if name != 'query'})
    anchor = views(sample(class_folder, on_device, mixing=False, unmixed=('anchor', )))
    assert {*anchor} == {'anchor_query', 'anchor_key', 'positive_key'}


def test_crops_and_further_keys_change_no_other_view(class_folder):
    clim = views(sample(class_folder))
    found = views(sample(class_folder, crops=[8], others=['dog/2.png', 'dog/1.png']))
    assert_same({name: found[name] for name in ('query', 'anchor_key', 'positive_key')}, clim)
    assert [name for name in found if name not in clim] == ['positive_key_2', 'positive_key_3', 'anchor_crops']
    assert [tuple(image.shape) for image in found['anchor_crops']] == [(3, 8, 8)]
    assert found['positive_key_2'][0].shape == (3, 24, 24)


def test_the_ids_of_further_positives_are_packed(class_folder):
    assert sample(class_folder, others=['dog/2.png'])['data_samples'].other_idx == (5, )
    assert 'other_idx' not in sample(class_folder)['data_samples']


def test_whose_query_stays_is_checked():
    with pytest.raises(ConfigError, match='Each of unmixed of PairViews must be one of anchor, positive'):
        PairViews([LoadImage()], [MultiRes((24, ))], unmixed=('both', ))
