"""Anchors with positives from the table, in one process and in a DataLoader's workers."""

import os

import numpy as np
import pytest
import torch
from mmcv.transforms import RandomApply, RandomFlip
from mmselfsup.datasets.transforms import ColorJitter
from torch.utils.data import DataLoader

from clim_mm.datasets import CutMix, ImageFolder, LoadImage, MultiRes, NeighborPairs, PackPair, PairViews, stack_collate
from clim_mm.errors import ConfigError, DataError

SOURCES = ['mmcls.CustomDataset', 'ImageFolder', 'mmselfsup.ImageList']
NAMES = [f'{name}/{i}.png' for name in ('cat', 'dog') for i in range(6)]


def source(folder, type_='ImageFolder'):
    """The config of a dataset of the twelve images of ``class_folder``."""
    cfg = dict(type=type_, data_root=str(folder))
    if type_ == 'mmselfsup.ImageList':
        (folder / 'list.txt').write_text(''.join(f'{name}\n' for name in NAMES))
        cfg['ann_file'] = 'list.txt'
    return cfg


def full_pipeline():
    photometric = [RandomApply([ColorJitter(brightness=0.4, contrast=0.4)], prob=0.8), RandomFlip(prob=0.5)]
    return [PairViews([LoadImage()], [MultiRes((32, 24), photometric)]), CutMix(), PackPair()]


def report_draws(results):
    """A pipeline's end that tells what it was given, and by which process."""
    return dict(
        sample_idx=results['sample_idx'],
        positive_idx=results['positive_idx'],
        table_version=results['table_version'],
        anchor=results['anchor']['img_path'],
        positive=results['positive']['img_path'],
        number=results['rng'].random(),
        batch_number=results['batch_rng'].random(),
        numpy_number=np.random.rand(),
        pid=os.getpid())


def in_a_ring(step):
    """Each image's positives are the next ``step`` and ``step + 1`` images."""
    ids = np.arange(12)
    return np.stack([(ids + step) % 12, (ids + step + 1) % 12, np.full(12, -1)], axis=1).astype(np.int32)


def pairs(folder, pipeline, type_='ImageFolder', seed=0, epoch=0, positives=None):
    dataset = NeighborPairs(source(folder, type_), pipeline, num_positives=3)
    dataset.randomness.start_epoch(seed, epoch)
    dataset.table.publish(in_a_ring(1) if positives is None else positives)
    return dataset


def flat(packed):
    """The views of a packed sample or batch, one after the other."""
    return [view for views in packed['inputs'].values() for view in views]


def same(first, second):
    """Whether two packed samples are equal in every pixel and number."""
    views = all(torch.equal(a, b) for a, b in zip(flat(first), flat(second), strict=True))
    meta = [(s.lam, s.positive_idx, s.table_version, s.sample_idx.value.item())
            for s in (first['data_samples'], second['data_samples'])]
    return views and meta[0] == meta[1]


@pytest.mark.parametrize('type_', SOURCES)
def test_anchor_and_positive_are_the_images_of_their_ids(class_folder, type_):
    dataset = pairs(class_folder, [report_draws], type_)
    assert len(dataset) == 12 and dataset.metainfo == dataset.dataset.metainfo
    for epoch in range(5):
        dataset.randomness.start_epoch(0, epoch)
        for i in range(12):
            sample = dataset[i]
            assert sample['sample_idx'] == i
            assert sample['positive_idx'] in in_a_ring(1)[i, :2]
            assert sample['anchor'] == str(class_folder / NAMES[i])
            assert sample['positive'] == str(class_folder / NAMES[sample['positive_idx']])
            assert sample['table_version'] == 1


@pytest.mark.parametrize('type_', SOURCES)
def test_full_samples(class_folder, type_):
    dataset = pairs(class_folder, full_pipeline(), type_)
    for i in (0, 11):
        sample = dataset[i]
        assert [tuple(x.shape) for x in flat(sample)] == [(3, 32, 32), (3, 24, 24)] * 3
        assert sample['data_samples'].sample_idx.value.item() == i
        assert sample['data_samples'].positive_idx in in_a_ring(1)[i, :2]
        assert len(sample['data_samples'].lam) == 2 and all(0 < lam < 1 for lam in sample['data_samples'].lam)


def test_a_dataset_that_is_built_already(class_folder):
    built = ImageFolder(str(class_folder))
    dataset = NeighborPairs(built, [report_draws])
    assert dataset.dataset is built
    assert dataset.table.positives.shape == (12, 5)  # as many as there are neighbours to fill up with


def test_the_pipeline_of_the_wrapped_dataset_is_not_run(class_folder):
    dataset = NeighborPairs(ImageFolder(str(class_folder), pipeline=[lambda results: 1 / 0]), [report_draws])
    assert dataset[3]['anchor'] == str(class_folder / NAMES[3])


@pytest.mark.parametrize('type_', SOURCES)
def test_seed_epoch_and_id_decide_the_sample(class_folder, type_):
    first = pairs(class_folder, full_pipeline(), type_, seed=4, epoch=2)
    samples = [first[i] for i in range(12)]
    np.random.seed(5)
    again = pairs(class_folder, full_pipeline(), type_, seed=4, epoch=2)
    for i in reversed(range(12)):
        assert same(again[i], samples[i])
    for seed, epoch in [(4, 3), (5, 2)]:
        other = pairs(class_folder, full_pipeline(), type_, seed=seed, epoch=epoch)
        assert not any(same(other[i], samples[i]) for i in range(12))


def test_positives_are_drawn_uniformly_over_the_epochs(class_folder):
    dataset = pairs(class_folder, [report_draws])
    drawn = []
    for epoch in range(100):
        dataset.randomness.start_epoch(0, epoch)
        drawn.append([(dataset[i]['positive_idx'] - i) % 12 for i in range(12)])
    assert set(np.unique(drawn)) == {1, 2}
    assert abs(np.mean(drawn) - 1.5) < 5 * 0.5 / np.sqrt(1200)


def test_before_the_first_table_every_anchor_is_paired_with_itself(class_folder):
    dataset = NeighborPairs(source(class_folder), [report_draws])
    sample = dataset[5]
    assert sample['positive_idx'] == -1 and sample['table_version'] == 0
    assert sample['positive'] == sample['anchor'] == str(class_folder / NAMES[5])


def test_an_anchor_without_a_positive_is_not_mixed(class_folder):
    positives = in_a_ring(1)
    positives[5] = -1
    plain = full_pipeline()
    del plain[1]  # what was drawn to be mixed is left out
    sample = pairs(class_folder, full_pipeline(), positives=positives)[5]
    assert sample['data_samples'].lam == [1.0, 1.0] and sample['data_samples'].positive_idx == -1
    assert same(sample, pairs(class_folder, plain, positives=positives)[5])
    assert not same(sample, pairs(class_folder, full_pipeline())[5])


def test_without_mixing_the_positive_is_pulled_alone(class_folder):
    pipeline = full_pipeline()
    del pipeline[1]
    assert pairs(class_folder, pipeline)[5]['data_samples'].lam == [0.0, 0.0]


def loader(dataset, **options):
    return DataLoader(dataset, batch_size=3, collate_fn=stack_collate, **options)


def collected(batches):
    """The columns of all batches, each as one list, in the order of the samples."""
    batches = list(batches)
    columns = {name: [] for name in batches[0]}
    for batch in batches:
        for name, values in batch.items():
            columns[name] += values.tolist() if isinstance(values, torch.Tensor) else list(values)
    return columns


def test_persistent_workers_see_each_table_and_each_epoch(class_folder):
    dataset = pairs(class_folder, [report_draws])
    batches = loader(dataset, num_workers=2, persistent_workers=True)
    pids, numbers = set(), []
    for epoch, step in enumerate([1, 4, 7]):
        if epoch:
            dataset.table.publish(in_a_ring(step))
        dataset.randomness.start_epoch(9, epoch)
        found = collected(batches)
        here = collected(loader(dataset))

        assert found['sample_idx'] == list(range(12))
        assert found['table_version'] == [epoch + 1] * 12
        assert all(j in in_a_ring(step)[i, :2] for i, j in enumerate(found['positive_idx']))
        # The same samples as without workers: the process does not matter.
        assert found.pop('pid') != here.pop('pid')
        assert found == here
        numbers += found['number']
        pids.add(frozenset(collected(batches)['pid']))
    assert len(pids) == 1, 'the workers are those of the first epoch'
    assert len(next(iter(pids))) == 2 and os.getpid() not in next(iter(pids))
    assert len(set(numbers)) == 36


@pytest.mark.parametrize('num_workers', [0, 2])
def test_the_samples_of_a_batch_have_a_generator_in_common(class_folder, num_workers):
    dataset = pairs(class_folder, [report_draws], seed=3)
    order = [5, 2, 8, 0, 11, 4, 7]
    for epoch in range(2):
        dataset.randomness.start_epoch(3, epoch)
        batches = DataLoader(dataset, batch_size=3, sampler=order, collate_fn=list, num_workers=num_workers)
        found = [[sample['batch_number'] for sample in batch] for batch in batches]
        assert found == [[dataset.randomness.of_batch(order[start]).random()] * size
                         for start, size in [(0, 3), (3, 3), (6, 1)]]
        assert len({numbers[0] for numbers in found}) == 3
    assert dataset[7]['batch_number'] == found[2][0] != dataset[8]['batch_number']


def test_one_box_and_one_lam_for_a_batch(class_folder):
    pipeline = full_pipeline()
    pipeline[1] = CutMix(per_batch=True)
    batches = list(loader(pairs(class_folder, pipeline)))
    lam = [{tuple(sample.lam) for sample in batch['data_samples']} for batch in batches]
    assert [len(of_batch) for of_batch in lam] == [1] * 4 and len(set.union(*lam)) == 4


def test_views_do_not_depend_on_the_number_of_workers(class_folder):
    expected = list(loader(pairs(class_folder, full_pipeline(), epoch=1)))
    found = list(loader(pairs(class_folder, full_pipeline(), epoch=1), num_workers=2))
    assert len(found) == len(expected) == 4
    for batch, wanted in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(flat(batch), flat(wanted), strict=True))
        assert [s.lam for s in batch['data_samples']] == [s.lam for s in wanted['data_samples']]


@pytest.mark.parametrize('num_positives', [0, -1])
def test_a_table_without_room_is_an_error(class_folder, num_positives):
    with pytest.raises(ConfigError, match=f'num_positives .* whole number of at least 1 or None, not {num_positives}'):
        NeighborPairs(source(class_folder), [dict], num_positives=num_positives)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match='does not exist'):
        NeighborPairs(source(tmp_path / 'nowhere'), [dict])
