"""Unreadable images among anchors and positives: who takes their place, and that nothing else changes."""

import numpy as np
import pytest
import torch
from colored_images import cut_off, damage, empty, make_text, number_of, write_colored
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader

from clim_mm.datasets import CutMix, LoadImage, MultiRes, NeighborPairs, PackPair, PairViews
from clim_mm.errors import ConfigError, DataError, sentence

N = 12
SEED = 5
BAD = {0: empty, 3: cut_off, 8: make_text}
EVERY = {i: empty for i in range(N)}


@pytest.fixture
def paths(tmp_path):
    """Of twelve images, each of a colour of its own."""
    return write_colored(tmp_path / 'images', N)


def table_of(*steps):
    """Each image's positives are the images so many steps on; -1 is none."""
    ids = np.arange(N)
    return np.stack([(ids + step) % N if step > 0 else np.full(N, -1) for step in steps], axis=1).astype(np.int32)


def pairs(paths, epoch=0, table=None, mix=False, max_unreadable=0.9, source=None):
    dataset = NeighborPairs(
        source or dict(type='ImageFolder', data_root=str(paths[0].parent)),
        [PairViews([LoadImage()], [MultiRes((10, 8))]), *([CutMix()] if mix else []), PackPair()],
        num_positives=3,
        max_unreadable=max_unreadable)
    dataset.randomness.start_epoch(SEED, epoch)
    dataset.table.publish(table_of(1, 3, 5) if table is None else table)
    return dataset


def generator(epoch, sample_idx):
    return np.random.default_rng(np.random.SeedSequence((SEED, epoch, sample_idx)))


def anchor_by_hand(epoch, sample_idx, bad):
    """Whose sample comes for an id: its own, or that of the first readable one of its substitutes."""
    if sample_idx not in bad:
        return sample_idx
    return next(i for i in generator(epoch, sample_idx).integers(N, size=100).tolist() if i not in bad)


def positive_by_hand(epoch, sample_idx, bad, table):
    row = table[sample_idx]
    in_order = generator(epoch, sample_idx).permutation(row[row >= 0]).tolist()
    return next((j for j in in_order if j not in bad), -1)


def flat(sample):
    return [view for views in sample['inputs'].values() for view in views]


def ids_of(sample):
    """Id and positive of a packed sample; its pixels must be those of the files of these ids."""
    packed = sample['data_samples']
    anchor, positive = packed.sample_idx.value.item(), packed.positive_idx
    shown = [number_of(view) for view in flat(sample)]
    paired = anchor if positive < 0 else positive
    assert shown == [anchor] * 4 + [paired] * 2, 'query, key of the anchor, key of the positive, at two resolutions'
    assert packed.lam == ([1.0] * 2 if positive < 0 else [0.0] * 2)
    return anchor, positive


def content_of(sample):
    """All of a sample but what was found on the way to it."""
    packed = sample['data_samples']
    return ([view.tolist() for view in flat(sample)], packed.sample_idx.value.item(), packed.positive_idx,
            packed.lam, packed.table_version)


def found_by(samples):
    return {i: entry for sample in samples for i, entry in sample['data_samples'].get('unreadable', {}).items()}


def single(samples):
    """A collate function that leaves a sample as it is."""
    return samples[0]


@pytest.mark.parametrize('epoch', [0, 1, 2])
def test_every_place_is_filled_under_the_id_of_what_is_seen(paths, epoch):
    entries, dataset = damage(paths, BAD), pairs(paths, epoch)
    samples = [dataset[i] for i in range(N)]
    expected = [anchor_by_hand(epoch, i, BAD) for i in range(N)]
    assert [ids_of(sample) for sample in samples] == [
        (anchor, positive_by_hand(epoch, anchor, BAD, table_of(1, 3, 5))) for anchor in expected]
    assert found_by(samples) == entries and not set(expected) & set(BAD)
    assert dataset.quarantine.readable.tolist() == [i for i in range(N) if i not in BAD]
    again = [dataset[i] for i in range(N)]
    assert [content_of(sample) for sample in again] == [content_of(sample) for sample in samples]
    assert found_by(again) == {}, 'each is told once'


def test_a_substitute_is_the_sample_that_it_is_in_its_own_place(paths):
    damage(paths, BAD)
    dataset = pairs(paths, mix=True)
    for i in BAD:
        assert content_of(dataset[i]) == content_of(dataset[anchor_by_hand(0, i, BAD)])


def test_without_unreadable_images_nothing_is_found(paths):
    dataset = pairs(paths)
    assert [ids_of(dataset[i])[0] for i in range(N)] == list(range(N))
    assert found_by(dataset[i] for i in range(N)) == {} and len(dataset.quarantine) == 0


@pytest.mark.parametrize('epoch', [0, 1, 2, 3])
def test_the_samples_are_the_same_whether_known_before_or_found_on_the_way(paths, epoch):
    entries, orders = damage(paths, BAD), [range(N), range(N - 1, -1, -1), [8, 3, 0, *range(N)]]
    runs = []
    for order in orders:
        dataset = pairs(paths, epoch, mix=True)
        runs.append({i: content_of(dataset[i]) for i in order})
    resumed = pairs(paths, epoch, mix=True)
    resumed.quarantine.load_state_dict(dict(ids=list(entries), entries=list(entries.values())))
    runs.append({i: content_of(resumed[i]) for i in range(N)})
    assert runs[1:] == runs[:1] * 3
    assert found_by(resumed[i] for i in range(N)) == {}


def test_persistent_workers_give_the_same_samples_and_tell_what_they_find(paths):
    early, late = {3: cut_off, 8: make_text}, {5: empty, 6: cut_off}
    batches = DataLoader(pairs(paths, mix=True), 1, collate_fn=single, num_workers=2, persistent_workers=True)
    here = pairs(paths, mix=True)
    entries = damage(paths, early)
    for epoch in range(3):
        batches.dataset.randomness.start_epoch(SEED, epoch)
        here.randomness.start_epoch(SEED, epoch)
        samples = list(batches)
        assert [content_of(sample) for sample in samples] == [content_of(here[i]) for i in range(N)]
        found = found_by(samples)
        batches.dataset.quarantine.add(found)
        if epoch == 0:
            assert found == entries
            entries = damage(paths, late)  # go bad in the middle of a run
        elif epoch == 1:
            assert found == entries
        else:
            assert found == {}
    assert batches.dataset.quarantine.readable.tolist() == [0, 1, 2, 4, 7, 9, 10, 11]


def test_a_bad_positive_costs_the_anchor_nothing_but_that_positive(paths):
    sound = pairs(paths)
    before = {i: sound[i] for i in range(N)}
    drawn = {i: before[i]['data_samples'].positive_idx for i in range(N)}
    bad = drawn[4]
    damage(paths, {bad: empty})
    dataset = pairs(paths)
    hit = [i for i in range(N) if drawn[i] == bad and i != bad]
    assert 4 in hit
    for i in range(N):
        if i == bad:
            continue
        anchor, positive = ids_of(dataset[i])
        assert anchor == i
        if i in hit:
            assert positive == positive_by_hand(0, i, {bad}, table_of(1, 3, 5)) != bad
        else:
            assert content_of(dataset[i]) == content_of(before[i])


def test_the_views_of_an_anchor_do_not_depend_on_its_positive(class_folder):
    paths = sorted(class_folder.glob('*/*.png'))
    before = pairs([class_folder / 'any'])[4]
    damage(paths, {before['data_samples'].positive_idx: empty})
    after = pairs([class_folder / 'any'])[4]
    assert after['data_samples'].positive_idx != before['data_samples'].positive_idx
    same = [torch.equal(*views) for views in zip(flat(before), flat(after), strict=True)]
    assert same == [True] * 4 + [False] * 2, 'query, key of the anchor, key of the positive'


def test_the_cut_does_not_depend_on_the_positive(paths):
    before = pairs(paths, mix=True)[4]['data_samples']
    damage(paths, {before.positive_idx: empty})
    after = pairs(paths, mix=True)[4]['data_samples']
    assert after.positive_idx != before.positive_idx and after.lam == before.lam


def test_an_anchor_whose_positives_are_all_bad_is_paired_with_itself(paths):
    entries = damage(paths, {5: empty, 7: cut_off, 9: make_text})
    dataset = pairs(paths, mix=True)
    sample = dataset[4]
    assert ids_of(sample) == (4, -1)
    assert sample['data_samples'].get('unreadable', {}) == entries


def listed(paths, names):
    """The config of a dataset that may name a file twice."""
    once = sorted({*names})
    (paths[0].parent / 'list.txt').write_text(''.join(f'{name}\n' for name in once))
    return dict(type='mmselfsup.ImageList', data_root=str(paths[0].parent), ann_file='list.txt',
                indices=[once.index(name) for name in names])


def test_two_ids_of_one_bad_file_are_both_quarantined(paths):
    names = [path.name for path in paths[:10]] + ['02.png', '02.png']
    entries = damage(paths, {2: empty})
    # The file's ids are each other's positives; 9 has nothing but them.
    table = table_of(1, 2, 5)
    table[[2, 10, 11]] = [[10, 11, 3], [2, 11, 3], [10, 2, 3]]
    table[9] = [10, 2, 11]
    dataset = pairs(paths, table=table, source=listed(paths, names))
    samples = [dataset[i] for i in range(N)]
    assert found_by(samples) == {i: entries[2] for i in (2, 10, 11)}
    assert all(ids_of(sample)[0] not in (2, 10, 11) for sample in samples)
    assert ids_of(samples[9]) == (9, -1)


def test_an_anchor_and_its_positive_may_be_one_file(paths):
    names = [path.name for path in paths[:11]] + ['04.png']
    table = table_of(0, 0, 0)
    table[4, 0] = 11
    packed = pairs(paths, table=table, source=listed(paths, names))[4]['data_samples']
    assert (packed.sample_idx.value.item(), packed.positive_idx, packed.get('unreadable')) == (4, 11, None)


@pytest.mark.parametrize('known', [False, True])
def test_if_nothing_can_be_read_a_sentence_says_so(paths, known):
    entries, dataset = damage(paths, EVERY), pairs(paths)
    if known:
        dataset.quarantine.add(entries)
    with pytest.raises(DataError) as caught:
        try:
            dataset[7]
        except DataError:
            # As a worker hands it over; a real one takes torch five seconds to stop after an error.
            ExceptionWrapper(where='in DataLoader worker process 0').reraise()
    assert 'Traceback' in str(caught.value)
    first = 'known before' if known else f'{paths[7]}: the file is empty'
    assert sentence(caught.value) == f'100 images in a row cannot be read (the first is {first}): mend the data folder.'


def test_one_readable_image_fills_every_place(paths):
    damage(paths, {i: empty for i in range(N) if i != 6})
    dataset = pairs(paths)
    assert [ids_of(dataset[i]) for i in range(N)] == [(6, -1)] * N


@pytest.mark.parametrize('max_unreadable', [-0.1, 1.0])
def test_a_share_out_of_range_is_an_error(paths, max_unreadable):
    with pytest.raises(ConfigError, match='max_unreadable must be a number of at least 0 and below 1, not'):
        pairs(paths, max_unreadable=max_unreadable)
