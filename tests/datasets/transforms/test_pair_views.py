"""Two views of an anchor and two of its positive."""

import random

import numpy as np
import pytest
from mmcv.transforms import RandomApply, RandomFlip
from mmselfsup.datasets.transforms import ColorJitter, MultiView, RandomGaussianBlur, RandomResizedCrop

from clim_mm.datasets import CutMix, LoadImage, MultiRes, PairViews
from clim_mm.errors import ConfigError

VIEWS = ('query', 'positive_query', 'anchor_key', 'positive_key')


def view(resolutions=(32, 24), **options):
    jitter = RandomApply([ColorJitter(brightness=0.4, contrast=0.4)], prob=0.8)
    blur = RandomGaussianBlur(sigma_min=0.1, sigma_max=1.0)
    return MultiRes(resolutions, [jitter, blur, RandomFlip(prob=0.5)], **options)


def infos(folder, positive='dog/3.png', **others):
    return dict(anchor=dict(img_path=str(folder / 'cat' / '1.png')), positive=dict(img_path=str(folder / positive)),
                **dict(dict(positive_idx=9), **others))


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)


def test_views_are_drawn_in_order_from_the_right_image(class_folder):
    for seed in range(10):
        seed_everything(seed)
        results = PairViews([LoadImage()], [view()])(infos(class_folder))

        seed_everything(seed)
        anchor, positive = (LoadImage()(info) for info in [*infos(class_folder).values()][:2])
        for name, image in zip(VIEWS, (anchor, positive, anchor, positive), strict=True):
            expected = view()(dict(image))['img']
            assert len(results['views'][name]) == len(expected) == 2
            for found, wanted in zip(results['views'][name], expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_the_four_views_differ(class_folder):
    seed_everything(0)
    results = PairViews([LoadImage()], [view()])(infos(class_folder))
    assert len({results['views'][name][0].tobytes() for name in VIEWS}) == 4


def test_an_anchor_paired_with_itself_has_four_views_of_it(class_folder):
    seed_everything(0)
    results = PairViews([LoadImage()], [MultiRes((48, ), scale=(1.0, 1.0))])(infos(class_folder, 'cat/1.png'))
    whole = MultiRes((48, ), scale=(1.0, 1.0))(LoadImage()(infos(class_folder)['anchor']))['img'][0]
    for name in VIEWS:
        np.testing.assert_array_equal(results['views'][name][0], whole)


@pytest.mark.parametrize('options', [dict(), dict(scale=(1.0, 1.0), ratio=(0.1, 10.0), max_attempts=0)])
def test_mixing_the_query_leaves_the_other_views(class_folder, options):
    # 48 is a side of the images, where resizing has least to do.
    pair_views = PairViews([LoadImage()], [view((48, 40), **options)])
    for seed in range(20):
        seed_everything(seed)
        results = pair_views(dict(infos(class_folder), rng=np.random.default_rng(seed)))
        before = {name: [image.copy() for image in results['views'][name]] for name in VIEWS}
        mixed = CutMix()(results)
        for name in VIEWS[2:]:
            for image, kept in zip(mixed['views'][name], before[name], strict=True):
                np.testing.assert_array_equal(image, kept)
        assert not np.array_equal(mixed['views']['query'][0], before['query'][0])


def test_views_from_configs_are_those_from_transforms(class_folder):
    load = [dict(type='clim_mm.LoadImage')]
    configured = PairViews(load, [dict(type='clim_mm.MultiRes', resolutions=(32, 24), scale=(0.4, 1.0))])
    given = PairViews([LoadImage()], [MultiRes((32, 24), scale=(0.4, 1.0))])
    found = []
    for transform in (configured, given):
        seed_everything(0)
        found.append(transform(infos(class_folder)))
    for name in VIEWS:
        for a, b in zip(found[0]['views'][name], found[1]['views'][name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_other_keys_stay(class_folder):
    results = PairViews([LoadImage()], [view()])(infos(class_folder, sample_idx=4))
    assert results['sample_idx'] == 4 and results['positive_idx'] == 9


@pytest.mark.parametrize('on_device', [False, True])
@pytest.mark.parametrize('positive_idx, lam', [(9, 0.0), (-1, 1.0)])
def test_each_query_has_its_weight(class_folder, positive_idx, lam, on_device):
    views = PairViews([LoadImage()], [MultiRes((32, 24), on_device=on_device)])
    assert views(infos(class_folder, positive_idx=positive_idx))['lam'] == [lam, lam]


def test_what_is_not_mixed_is_not_drawn(class_folder):
    seed_everything(3)
    unmixed = PairViews([LoadImage()], [view()], mixed=False)(infos(class_folder))['views']
    assert list(unmixed) == ['query', 'anchor_key', 'positive_key']
    seed_everything(3)
    anchor, positive = (LoadImage()(info) for info in [*infos(class_folder).values()][:2])
    for found, image in zip(unmixed.values(), (anchor, anchor, positive), strict=True):
        for here, there in zip(found, view()(dict(image))['img'], strict=True):
            np.testing.assert_array_equal(here, there)


def multi_crop():
    """The paper's 2 x 224 + 2 x 96, a seventh of it: the query's crops, and the key's."""
    large, small = MultiRes((32, ), scale=(0.2, 1.0)), MultiRes((14, ), scale=(0.05, 0.14))
    return dict(view=[MultiView([[large], [small]], num_views=[1, 2])], key_view=[large])


def test_queries_can_have_more_crops_than_keys(class_folder):
    for seed in range(5):
        seed_everything(seed)
        results = PairViews([LoadImage()], **multi_crop())(infos(class_folder))

        seed_everything(seed)
        anchor, positive = (LoadImage()(info)['img'] for info in [*infos(class_folder).values()][:2])
        for name, image in [('query', anchor), ('positive_query', positive)]:
            crops = [RandomResizedCrop(r, scale=scale, backend='pillow')
                     for r, scale in [(32, (0.2, 1.0)), *[(14, (0.05, 0.14))] * 2]]
            expected = [crop(dict(img=image))['img'] for crop in crops]
            assert [crop.shape for crop in results['views'][name]] == [(32, 32, 3), (14, 14, 3), (14, 14, 3)]
            for found, wanted in zip(results['views'][name], expected, strict=True):
                np.testing.assert_allclose(found.astype(int), wanted, atol=1)
            assert (results['views'][name][1] != results['views'][name][2]).any(), 'each from a window of its own'
        for name, image in [('anchor_key', anchor), ('positive_key', positive)]:
            (found, ) = results['views'][name]
            wanted = RandomResizedCrop(32, scale=(0.2, 1.0), backend='pillow')(dict(img=image))['img']
            np.testing.assert_allclose(found.astype(int), wanted, atol=1)


def test_every_crop_is_mixed_and_no_key(class_folder):
    seed_everything(0)
    results = PairViews([LoadImage()], **multi_crop())(infos(class_folder))
    before = {name: [image.copy() for image in results['views'][name]] for name in VIEWS}
    mixed = CutMix()(dict(results, rng=np.random.default_rng(1)))
    assert len(mixed['lam']) == 3 and all(0 < lam < 1 for lam in mixed['lam'])
    assert mixed['lam'][1] == mixed['lam'][2] and abs(mixed['lam'][0] - mixed['lam'][1]) < 0.1
    for i, (image, lam) in enumerate(zip(mixed['views']['query'], mixed['lam'], strict=True)):
        of_anchor, of_positive = ((image == before[name][i]).all(axis=2) for name in ('query', 'positive_query'))
        assert (of_anchor | of_positive).all() and of_anchor.mean() == pytest.approx(lam, abs=0.01)
    for name in VIEWS[2:]:
        for image, kept in zip(mixed['views'][name], before[name], strict=True):
            np.testing.assert_array_equal(image, kept)


def test_crops_can_be_at_several_resolutions_or_at_one(class_folder):
    several = MultiView([[MultiRes((32, 24))], [RandomResizedCrop(14)]], num_views=[1, 2])
    results = PairViews([LoadImage()], [several], [MultiRes((32, 24))])(infos(class_folder))
    assert [image.shape[0] for image in results['views']['query']] == [32, 24, 14, 14]
    assert [image.shape[0] for image in results['views']['positive_key']] == [32, 24]


@pytest.mark.parametrize('key_view', [[], 'MultiRes', dict(type='MultiRes')])
def test_a_key_view_that_is_no_list_is_an_error(key_view):
    with pytest.raises(ConfigError, match='key_view of PairViews must be a list that is not empty'):
        PairViews([LoadImage()], [view()], key_view)


@pytest.mark.parametrize('on_device', [False, True])
def test_query_and_key_from_one_window(class_folder, on_device):
    crop = dict(on_device=on_device, scale=(0.1, 0.5))
    plain = [MultiRes((48, 40), **crop), MultiRes((24, ), **crop)]
    for seed in range(5):
        seed_everything(seed)
        views = PairViews([LoadImage()], plain[:1], plain[1:], shared_window=True)(infos(class_folder))['views']
        seed_everything(seed)
        windows = []
        for name, info in zip(('anchor', 'positive'), infos(class_folder).values(), strict=False):
            query = plain[0](LoadImage()(info))
            key = plain[1](dict(LoadImage()(info), window=query['window']))
            windows.append(query['window'])
            query_name = 'query' if name == 'anchor' else 'positive_query'
            for found, wanted in [(views[query_name], query['img']), (views[f'{name}_key'], key['img'])]:
                for here, there in zip(found, wanted, strict=True):
                    np.testing.assert_array_equal(pixels(here), pixels(there))
        assert windows[0] != windows[1], 'each image has a window of its own'


def pixels(view):
    return getattr(view, 'image', view)


def test_colours_of_one_window_are_drawn_apart(class_folder):
    seed_everything(1)
    views = PairViews([LoadImage()], [view()], shared_window=True)(infos(class_folder))['views']
    assert len({views[name][0].tobytes() for name in VIEWS}) == 4


def test_small_crops_have_windows_of_their_own(class_folder):
    crops = [MultiView([[MultiRes((32, ), scale=(0.1, 0.5))]], num_views=[3])]
    seed_everything(0)
    views = PairViews([LoadImage()], [MultiRes((32, ), scale=(0.1, 0.5))], crops=crops, shared_window=True)(
        infos(class_folder))['views']
    np.testing.assert_array_equal(views['query'][0], views['anchor_key'][0])
    assert len({image.tobytes() for image in [*views['anchor_crops'], *views['query']]}) == 4


@pytest.mark.parametrize('views', [multi_crop(), dict(view=[LoadImage()])])
def test_windows_that_cannot_be_shared(views):
    with pytest.raises(ConfigError, match='needs a view, and a key_view .* MultiRes: change them'):
        PairViews([LoadImage()], **views, shared_window=True)
