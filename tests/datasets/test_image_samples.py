"""Samples of single images: drawn by (seed, epoch, id), and what comes in the place of an unreadable one."""

import numpy as np
import pytest
import torch
from colored_images import cut_off, damage, empty, number_of, write_colored
from torch.utils.data import DataLoader

from clim_mm.datasets import ImageSamples, LoadImage, MultiRes
from clim_mm.datasets.transforms import RandomGrayscale
from clim_mm.errors import ConfigError, DataError

N = 12
SEED = 5
BAD = {0: empty, 3: cut_off}
PACK = dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx'])


def draw(results):
    """What the generators of a sample draw: its own, the batch's, numpy's and torch's."""
    own = [results['rng'].random(), results['batch_rng'].random()]
    return dict(sample_idx=results['sample_idx'], drawn=[*own, np.random.rand(), torch.rand(()).item()])


@pytest.fixture
def paths(tmp_path):
    """Of twelve images, each of a colour of its own."""
    return write_colored(tmp_path / 'images', N)


def samples_of(paths, pipeline, epoch=0, max_unreadable=0.9):
    source = dict(type='ImageFolder', data_root=str(paths[0].parent))
    dataset = ImageSamples(source, pipeline, max_unreadable=max_unreadable)
    dataset.randomness.start_epoch(SEED, epoch)
    return dataset


def multi_view():
    """The baseline's pipeline: two views of an image by MMSelfSup's MultiView."""
    views = dict(type='mmselfsup.MultiView', num_views=[1, 1], transforms=[
        [dict(type='mmselfsup.RandomResizedCrop', size=r, scale=(0.2, 1.0))] for r in (10, 8)])
    return [dict(type='clim_mm.LoadImage'), views, PACK]


def shown_and_named(sample):
    """The image that each view shows, and the packed id."""
    return [number_of(view) for view in sample['inputs']], int(sample['data_samples'].sample_idx.value)


def content_of(sample):
    return [view.tolist() for view in sample['inputs']], int(sample['data_samples'].sample_idx.value)


def readable_by_hand(epoch, sample_idx, bad):
    if sample_idx not in bad:
        return sample_idx
    rng = np.random.default_rng(np.random.SeedSequence((SEED, epoch, sample_idx)))
    return next(i for i in rng.integers(N, size=100).tolist() if i not in bad)


def test_a_pipeline_receives_the_data_info_and_the_id(paths):
    (seen, ) = [samples_of(paths, [lambda results: results])[4]]
    assert seen['sample_idx'] == 4 and seen['img_path'] == str(paths[4])
    assert isinstance(seen['rng'], np.random.Generator) and isinstance(seen['batch_rng'], np.random.Generator)


def test_draws_are_by_seed_epoch_and_id(paths):
    dataset = samples_of(paths, [draw])
    first = [dataset[i]['drawn'] for i in range(N)]
    assert [dataset[i]['drawn'] for i in reversed(range(N))] == first[::-1], 'in any order, and again'
    assert len({tuple(drawn) for drawn in first}) == N
    for seed, epoch in [(SEED, 1), (SEED + 1, 0)]:
        dataset.randomness.start_epoch(seed, epoch)
        assert not {number for i in range(N) for number in dataset[i]['drawn']} & {x for row in first for x in row}
    sequence = np.random.SeedSequence((SEED, 0, 7))
    assert first[7][0] == np.random.default_rng(sequence).random()


def test_a_batch_has_a_generator_in_common(paths):
    drawn = np.array([sample['drawn'] for sample in samples_of(paths, [draw]).__getitems__([4, 2, 9])])
    assert len({*drawn[:, 1]}) == 1 and len({*drawn[:, 0]}) == 3
    alone = np.array([samples_of(paths, [draw])[i]['drawn'] for i in (4, 2, 9)])
    np.testing.assert_array_equal(drawn[:, [0, 2, 3]], alone[:, [0, 2, 3]])
    assert drawn[0, 1] == alone[0, 1] != alone[1, 1]


def test_the_global_generators_are_left_as_they_were(paths):
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(2)[1].item(), np.random.rand(2)[1]
    torch.manual_seed(1)
    np.random.seed(1)
    torch.rand(1)
    np.random.rand(1)
    samples_of(paths, [draw])[3]
    assert (torch.rand(1).item(), np.random.rand()) == expected


@pytest.mark.parametrize('num_workers', [0, 2])
def test_the_views_of_mmselfsup(paths, num_workers):
    loader = DataLoader(samples_of(paths, multi_view(), epoch=2), batch_size=4, num_workers=num_workers,
                        collate_fn=list, shuffle=False)
    found = [sample for batch in loader for sample in batch]
    assert [shown_and_named(sample) for sample in found] == [([i, i], i) for i in range(N)]
    assert [[tuple(view.shape) for view in sample['inputs']] for sample in found] == [[(3, 10, 10), (3, 8, 8)]] * N
    dataset = samples_of(paths, multi_view(), epoch=2)
    assert [content_of(sample) for sample in found] == [content_of(dataset[i]) for i in range(N)]
    assert all('unreadable' not in sample['data_samples'].metainfo for sample in found)


@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize('epoch', [0, 3])
def test_another_image_under_its_own_id_takes_the_place(paths, epoch, num_workers):
    damage(paths, BAD)
    dataset = samples_of(paths, multi_view(), epoch)
    found = [sample for batch in DataLoader(dataset, batch_size=5, num_workers=num_workers, collate_fn=list)
             for sample in batch]
    expected = [readable_by_hand(epoch, i, BAD) for i in range(N)]
    assert [shown_and_named(sample) for sample in found] == [([i, i], i) for i in expected]
    assert sorted(i for i in range(N) if dataset.quarantine.holds(i)) == sorted(BAD)
    told = {}
    for sample in found:
        told.update(sample['data_samples'].metainfo.get('unreadable', {}))
    assert told.keys() == BAD.keys()
    assert all(told[i].startswith(f'{paths[i]}\t') for i in BAD)
    again = samples_of(paths, multi_view(), epoch)
    for i in BAD:
        again.quarantine.mark(i)
    assert [content_of(again[i]) for i in range(N)] == [content_of(sample) for sample in found], 'whoever found it'
    assert all('unreadable' not in again[i]['data_samples'].metainfo for i in range(N)), 'what is known is not told'


def test_a_sample_that_is_not_packed_stays_as_it_is(paths):
    damage(paths, BAD)
    found = samples_of(paths, [LoadImage(), MultiRes((8, ), [RandomGrayscale(0.0)])])[0]
    assert 'unreadable' not in found and found['sample_idx'] == readable_by_hand(0, 0, BAD)


def test_no_image_at_all(paths):
    damage(paths, {i: empty for i in range(N)})
    with pytest.raises(DataError, match=r'100 images in a row cannot be read .the first is .*: mend the data folder'):
        samples_of(paths, multi_view())[2]


@pytest.mark.parametrize('settings, words', [
    (dict(pipeline=[]), 'pipeline of ImageSamples must be a list'),
    (dict(pipeline=[draw], max_unreadable=1), 'max_unreadable must be a number'),
])
def test_settings_that_cannot_be_meant(paths, settings, words):
    with pytest.raises(ConfigError, match=words):
        samples_of(paths, **settings)


def test_metainfo_is_that_of_the_images(paths):
    dataset = samples_of(paths, [draw])
    assert len(dataset) == N and dataset.metainfo == dataset.dataset.metainfo
