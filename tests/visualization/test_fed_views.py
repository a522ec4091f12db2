"""What the network is fed: the dataset's own tensors, and the pasted patch; what is written, outlined and framed."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from mmengine.registry import DefaultScope
from PIL import Image

from clim_mm.datasets import NeighborPairs
from clim_mm.registry import DATASETS
from clim_mm.visualization.fed_views import ANCHOR, PLAIN, POSITIVE, FedSample, FedView, draw_views, fed_sample

RED, BLUE = (200, 10, 30), (20, 60, 220)
FLIPPED = dict(type='RandomFlip', prob=0.5)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('clim_mm'):
        yield


def pairs(folder, *mixing, transforms=(), noise=False, positives=((1, ), (0, )), on_device=False):
    """Two images: image 0 is red and image 1 blue, or both are noise."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i, color in enumerate((RED, BLUE)):
        pixels = rng.integers(0, 256, (40, 50, 3)) if noise else np.full((40, 50, 3), color)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f'{i}.png')
    view = [dict(type='MultiRes', resolutions=(16, 12), transforms=list(transforms), on_device=on_device)]
    dataset = NeighborPairs(
        dict(type='ImageFolder', data_root=str(folder)), num_positives=1, pipeline=[
            dict(type='PairViews', load=[dict(type='LoadImage')], view=view), *mixing, dict(type='PackPair')])
    dataset.table.publish(np.array(positives, dtype=np.int32))
    dataset.randomness.start_epoch(7, 3)
    return dataset


def blend(results):
    """A quarter of the positive in every pixel."""
    views = dict(results['views'])
    views['query'] = [(0.75 * a + 0.25 * b).astype(np.uint8)
                      for a, b in zip(views['query'], views.pop('positive_query'), strict=True)]
    return dict(results, views=views, lam=[0.75, 0.75])


def inside(box, side):
    """Which pixels of a square are in a box."""
    pixels = np.zeros((side, side), bool)
    top, left, bottom, right = box
    pixels[top:bottom, left:right] = True
    return pixels


def flat(packed):
    return [view for views in packed['inputs'].values() for view in views]


def test_whose_each_pixel_is(tmp_path):
    sample = fed_sample(pairs(tmp_path / 'i', dict(type='CutMix', alpha=2.0)), 0)
    assert (sample.sample_idx, sample.positive_idx) == (0, 1)
    assert [(view.role, len(view.image)) for view in sample.views] == [
        (role, side) for role in ('query', 'anchor_key', 'positive_key') for side in (16, 12)]
    for view in sample.views[:2]:
        blue = (view.image == BLUE).all(axis=2)
        assert ((view.image == RED).all(axis=2) ^ blue).all() and 0 < blue.mean() < 1
        np.testing.assert_array_equal(inside(view.box, len(blue)), blue)
        assert view.lam == pytest.approx(1 - blue.mean())
    for view in sample.views[2:]:
        assert (view.image == (RED if view.role == 'anchor_key' else BLUE)).all()
        assert view.lam is None and view.box is None


@pytest.mark.parametrize('same_place', [True, False])
def test_it_is_what_the_training_draws(tmp_path, same_place):
    dataset = pairs(tmp_path / 'i', dict(type='CutMix', same_place=same_place), transforms=[FLIPPED], noise=True)
    pipeline = dataset.pipeline
    for i in (0, 1):
        sample, packed = fed_sample(dataset, i), dataset[i]
        for view, fed in zip(sample.views, flat(packed), strict=True):
            np.testing.assert_array_equal(view.image, fed.numpy().transpose(1, 2, 0)[:, :, ::-1])
        assert [view.lam for view in sample.views[:2]] == packed['data_samples'].lam
        for view in sample.views[:2]:
            assert view.lam == pytest.approx(1 - inside(view.box, len(view.image)).mean())
    assert dataset.pipeline is pipeline


@pytest.mark.parametrize('options', [dict(), dict(same_place=False), dict(unmixed_term=True)])
def test_views_that_the_device_finishes(tmp_path, options):
    mixing = dict(type='CutMix', **options)
    here = fed_sample(pairs(tmp_path / 'a', mixing, transforms=[FLIPPED], noise=True), 0)
    there = fed_sample(pairs(tmp_path / 'b', mixing, transforms=[FLIPPED], noise=True, on_device=True), 0)
    assert len(here.views) == len(there.views) and 0 < here.views[0].lam < 1
    for view, other in zip(here.views, there.views, strict=True):
        assert (view.role, view.lam, view.image.shape) == (other.role, other.lam, other.image.shape)
        if len(view.image) == 16:  # the smaller ones are made from the larger ones there
            np.testing.assert_array_equal(view.image, other.image)
        assert view.box == other.box


def test_colours_that_the_device_gives(tmp_path):
    gray = dict(type='RandomGrayscale', prob=1.0)
    sample = fed_sample(pairs(tmp_path / 'i', dict(type='CutMix'), transforms=[gray], on_device=True), 0)
    # 0.299 * 200 + 0.587 * 10 + 0.114 * 30 = 69.09 of red, 0.299 * 20 + 0.587 * 60 + 0.114 * 220 = 66.28 of blue
    for view in sample.views[2:]:
        assert (view.image == (69 if view.role == 'anchor_key' else 66)).all()
    for view in sample.views[:2]:
        np.testing.assert_array_equal(view.image[..., 0], np.where(inside(view.box, len(view.image)), 66, 69))


def test_channels_stay_where_the_model_leaves_them(tmp_path):
    dataset = pairs(tmp_path / 'i', dict(type='CutMix'))
    assert (fed_sample(dataset, 0, to_rgb=False).views[2].image == RED[::-1]).all()


def test_blended_images(tmp_path):
    sample = fed_sample(pairs(tmp_path / 'i', blend), 0)
    for view in sample.views[:2]:
        assert view.box is None and view.lam == 0.75


def test_without_a_positive_nothing_is_the_positives(tmp_path):
    sample = fed_sample(pairs(tmp_path / 'i', dict(type='CutMix'), positives=((-1, ), (-1, ))), 0)
    assert sample.positive_idx == -1
    assert all(view.box is None and view.lam == 1 for view in sample.views[:2])


def test_without_mixing_the_query_is_the_anchors(tmp_path):
    sample = fed_sample(pairs(tmp_path / 'i'), 0)
    assert all(view.box is None and view.lam == 0 for view in sample.views[:2])


def test_an_unreadable_anchor_gives_way_as_in_the_training(tmp_path):
    dataset = pairs(tmp_path / 'i', dict(type='CutMix'))
    (tmp_path / 'i' / '0.png').write_bytes(b'')
    sample = fed_sample(dataset, 0)
    assert sample.sample_idx == 1


def test_views_of_other_datasets(tmp_path):
    pairs(tmp_path / 'i')
    crop = dict(type='mmselfsup.RandomResizedCrop', size=10)
    pipeline = [dict(type='LoadImage'), dict(type='mmselfsup.MultiView', num_views=2, transforms=[[crop]]),
                dict(type='mmselfsup.PackSelfSupInputs')]
    dataset = DATASETS.build(dict(type='ImageFolder', data_root=str(tmp_path / 'i'), pipeline=pipeline))
    sample = fed_sample(dataset, 1)
    assert [view.role for view in sample.views] == ['view', 'view'] and sample.positive_idx == -1
    assert all(view.image.shape == (10, 10, 3) and (view.image == BLUE).all() for view in sample.views)


@pytest.fixture
def source(tmp_path):
    for name in ('a$x$', 'b'):
        (tmp_path / name).mkdir()
        Image.new('RGB', (30, 20), (9, 99, 199)).save(tmp_path / name / '0.png')
    return DATASETS.build(dict(type='mmcls.CustomDataset', data_root=str(tmp_path)))


def pair(positive=1):
    black = {side: np.zeros((side, side, 3), np.uint8) for side in (16, 12)}
    queries = [FedView(black[16], 'query', 0.67, (4, 2, 10, 16)), FedView(black[12], 'query', 1.0)]
    return FedSample(0, positive, [*queries, *(FedView(black[side], role) for role in ('anchor_key', 'positive_key')
                                               for side in (16, 12))])


def test_a_row_for_each_sample(source):
    figure = draw_views([pair(), pair(-1)], source, 'A $title$')
    first, second = figure.axes[:8], figure.axes[8:]
    assert [axes.get_title(loc='left') for axes in first] == [
        'anchor', 'positive', 'query', '', 'key of the anchor', '', 'key of the positive', '']
    assert [axes.get_xlabel() for axes in first] == [
        '#0 · a$x$', '#1 · b', '16 px · λ 0.67', '12 px · λ 1.00', '16 px', '12 px', '16 px', '12 px']
    frames = [to_hex(axes.spines['top'].get_edgecolor()) for axes in first]
    assert frames == [ANCHOR, POSITIVE, PLAIN, PLAIN, ANCHOR, ANCHOR, POSITIVE, POSITIVE]
    assert 'none' in second[1].texts[0].get_text() and not second[1].images
    figure.canvas.draw()  # with the dollar signs, which are no formulas here


def test_the_patch_is_outlined(source):
    mixed, whole = draw_views([pair()], source).axes[2:4]
    patch, = mixed.patches
    assert patch.get_bbox().extents.tolist() == [1.5, 3.5, 15.5, 9.5] and to_hex(patch.get_edgecolor()) == POSITIVE
    assert not whole.patches


def test_views_that_are_no_pairs(source):
    view = FedView(np.zeros((10, 10, 3), np.uint8), 'view')
    figure = draw_views([FedSample(1, -1, [view, view])], source)
    assert [axes.get_xlabel() for axes in figure.axes] == ['#1 · b', '10 px', '10 px']
