"""A pipeline whose views are finished on the device, against the same finished in the workers, draw by draw."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from config_names import ROOT, load
from natural_image import natural_image
from PIL import Image

from clim_mm.datasets import ImageFolder, NeighborPairs, stack_collate
from clim_mm.datasets.device_views import rendered

N = 12
PHOTOMETRIC = load(ROOT / 'configs/_base_/datasets/views.py').photometric  # those of the trainings


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('images')
    for i in range(N):
        Image.fromarray(natural_image(60, 80, seed=i)[..., ::-1].copy()).save(root / f'{i:02}.png')
    return root


def multi_res(on_device, resolutions=(48, 32), transforms=PHOTOMETRIC, **options):
    return dict(
        type='MultiRes', resolutions=resolutions, scale=(0.2, 1.0), transforms=transforms, on_device=on_device,
        **options)


def pairs(folder, on_device, *mixing, view=None, **options):
    """Image 0 has no positive, and image i has image i - 1."""
    view = view or (lambda on_device: [multi_res(on_device, **options)])
    dataset = NeighborPairs(
        dict(type='ImageFolder', data_root=str(folder)), num_positives=1, pipeline=[
            dict(type='PairViews', load=[dict(type='LoadImage')], view=view(on_device)), *mixing,
            dict(type='PackPair')])
    dataset.table.publish(np.arange(-1, N - 1, dtype=np.int32)[:, None])
    dataset.randomness.start_epoch(5, 2)
    return dataset


def flat(views):
    return [image for images in views.values() for image in images]


def both(folder, *mixing, **options):
    """Batches of all images from the workers and from the device, inputs as float; and the data samples of both."""
    host = stack_collate(pairs(folder, False, *mixing, **options).__getitems__(range(N)))
    sent = stack_collate(pairs(folder, True, *mixing, **options).__getitems__(range(N)))
    found = rendered(sent['inputs'], sent['draws']['photometric'], sent['draws'].get('mixtures'),
                     sent['data_samples'][0].plan)
    assert list(found) == list(host['inputs'])
    return [x.float() for x in flat(host['inputs'])], flat(found), host['data_samples'], sent


CUTMIX = dict(type='CutMix', alpha=2.0)


@pytest.mark.parametrize('mixing', [
    [], [CUTMIX], [dict(CUTMIX, same_place=False)], [dict(CUTMIX, per_batch=True)], [dict(CUTMIX, unmixed_term=True)],
    [dict(type='MixUp', alpha=1.0)]
], ids=['nomix', 'cutmix', 'otherplace', 'batchmix', 'unmixedterm', 'mixup'])
def test_the_same_draws_give_the_same_views_but_for_rounding(folder, mixing):
    host, found, samples, sent = both(folder, *mixing)
    assert [x.shape for x in found] == [x.shape for x in host]
    for ours, theirs in zip(sent['data_samples'], samples, strict=True):
        assert (ours.lam, ours.positive_idx, int(ours.sample_idx.value)) == (
            theirs.lam, theirs.positive_idx, int(theirs.sample_idx.value))
    for mine, other in zip(found, host, strict=True):
        difference = (mine - other).abs()
        if mine.shape[-1] == 48:
            # The worker's hue is in whole 256ths; 8 bits round after every step.
            assert difference.mean() < 2 and difference.mean(dim=(1, 2, 3)).max() < 6
        assert 0 <= mine.min() and mine.max() <= 255.001
    assert (found[0] != host[0]).any()


def test_without_colour_and_blur_the_large_views_are_the_very_same(folder):
    host, found, *_ = both(folder, CUTMIX, transforms=[dict(type='RandomFlip', prob=0.5)])
    for place in (0, 2, 4):
        assert found[place].shape[-1] == 48 and torch.equal(found[place], host[place])
    # The small keys come from the large ones, not from the crop: two antialiased steps instead of one.
    for place in (3, 5):
        expected = F.interpolate(found[place - 1], (32, 32), mode='bilinear', antialias=True)
        torch.testing.assert_close(found[place], expected)
        assert (found[place] - host[place]).abs().mean() < 4


def test_multi_crop(folder):
    def view(on_device):
        crops = [[multi_res(on_device, (48, ))], [multi_res(on_device, (24, ))]]
        return [dict(type='mmselfsup.MultiView', num_views=[1, 2], transforms=crops)]

    host, found, samples, sent = both(folder, CUTMIX, view=view)
    assert [x.shape[-1] for x in found] == 3 * [48, 24, 24]
    for mine, other in zip(found, host, strict=True):
        assert (mine - other).abs().mean() < 2
    assert sent['data_samples'][1].lam == samples[1].lam


def test_some_views_in_the_worker(folder):
    """The large crops on the device, a small one in the worker."""
    def view(on_device):
        crops = [[multi_res(on_device, (48, 32))], [multi_res(False, (24, ))]]
        return [dict(type='mmselfsup.MultiView', num_views=[1, 1], transforms=crops)]

    host, found, *_ = both(folder, CUTMIX, view=view)
    assert [x.shape[-1] for x in found] == 3 * [48, 32, 24]
    assert torch.equal(found[5], host[5]), 'a key that was finished in the worker'


def test_a_worker_sends_each_view_once(folder):
    sent = pairs(folder, True, CUTMIX)[1]
    names = ['query', 'positive_query', 'anchor_key', 'positive_key']
    assert list(sent['inputs']) == list(sent['draws']['photometric']) == names
    assert [(tuple(x.shape), x.dtype) for x in flat(sent['inputs'])] == 4 * [((3, 48, 48), torch.uint8)]
    assert {(tuple(x.shape), x.dtype) for x in sent['draws']['photometric'].values()} == {((1, 21), torch.float32)}
    assert sent['draws']['mixtures'].shape == (2, 7) and sent['draws']['mixtures'].dtype == torch.float32
    unmixed = pairs(folder, True)[1]
    assert list(unmixed['inputs']) == [names[0], *names[2:]] and set(unmixed['draws']) == {'photometric'}


def test_a_sample_depends_on_nothing_but_its_draws(folder):
    dataset = pairs(folder, True, CUTMIX)
    alone, along = dataset[3], dataset.__getitems__([1, 2, 3])[2]
    for a, b in zip(flat(alone['inputs']), flat(along['inputs']), strict=True):
        assert torch.equal(a, b)
    for name, rows in alone['draws']['photometric'].items():
        assert torch.equal(rows, along['draws']['photometric'][name])
    assert torch.equal(alone['draws']['mixtures'], along['draws']['mixtures'])
    dataset.randomness.start_epoch(5, 3)
    assert not torch.equal(dataset[3]['draws']['mixtures'], alone['draws']['mixtures'])


def test_an_unreadable_positive_gives_way(folder, tmp_path):
    for i in range(3):
        (tmp_path / f'{i}.png').write_bytes(b'' if i == 0 else (folder / f'0{i}.png').read_bytes())
    dataset = NeighborPairs(
        ImageFolder(data_root=str(tmp_path)), num_positives=1, max_unreadable=0.9,
        pipeline=[dict(type='PairViews', load=[dict(type='LoadImage')], view=[multi_res(True)]), CUTMIX,
                  dict(type='PackPair')])
    dataset.table.publish(np.array([[1], [0], [1]], dtype=np.int32))
    packed = dataset[1]
    sample = packed['data_samples']
    assert sample.positive_idx == -1 and sample.lam == [1.0, 1.0] and list(sample.unreadable) == [0]
    assert packed['draws']['mixtures'].tolist() == 2 * [7 * [0.0]]
    batch = stack_collate([packed, dataset[2]])
    found = rendered(batch['inputs'], batch['draws']['photometric'], batch['draws']['mixtures'], sample.plan)
    assert [x.shape for x in flat(found)] == [(2, 3, r, r) for r in (48, 32) * 3]
