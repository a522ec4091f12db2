"""Unreadable images among several processes, and the list that a user reads."""

import os
import time

import numpy as np
import pytest
from colored_images import cut_off, damage, empty, listing, make_text
from colored_runs import After, substitute, train
from gloo import on_processes
from mmengine import dist
from mmengine.hooks import Hook
from training_runs import N, hook_cfg

from clim_mm.datasets import Quarantine
from clim_mm.errors import DataError, UnreadableImage, sentence
from clim_mm.hooks import training_set_hooks
from clim_mm.hooks.training_set_hooks import list_quarantine

# Extraction reads 0 to 9 and 20 to 23 on the first process, the others on the second. The first epoch trains on 3 and
# 17 on the first process, on 16 on the second.
BAD = {3: cut_off, 16: empty, 17: make_text}
LATE = {5: empty, 12: cut_off, 21: make_text}

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def test_the_list_has_a_line_for_each(tmp_path):
    quarantine = Quarantine(10, 0.5)
    list_quarantine(quarantine, str(tmp_path))
    assert os.listdir(tmp_path) == [], 'nothing to list'
    quarantine.add({7: 'b c/7.png\tthe file is empty', 2: 'a/2.png\tIs a directory'})
    list_quarantine(quarantine, str(tmp_path))
    assert os.listdir(tmp_path) == ['quarantine.txt']
    assert (tmp_path / 'quarantine.txt').read_text() == (
        '2\ta/2.png\tIs a directory\n7\tb c/7.png\tthe file is empty\n')
    quarantine.add({0: 'a/0.png\tno image'})
    list_quarantine(quarantine, str(tmp_path))
    assert (tmp_path / 'quarantine.txt').read_text().startswith('0\ta/0.png\tno image\n2\t')


def test_a_list_that_cannot_be_written_stops_no_training(tmp_path):
    (tmp_path / 'quarantine.txt').mkdir()
    quarantine = Quarantine(10, 0.5)
    quarantine.add({7: '7.png\tthe file is empty'})
    list_quarantine(quarantine, str(tmp_path))
    assert os.listdir(tmp_path) == ['quarantine.txt']


def test_if_they_are_too_many_the_list_is_there(tmp_path):
    quarantine = Quarantine(10, 0.1)
    quarantine.add({1: '1.png\tno image', 4: '4.png\tno image'})
    with pytest.raises(DataError, match=r'2 of 10 images cannot be read \(the first is 1.png: no image\)'):
        list_quarantine(quarantine, str(tmp_path))
    assert (tmp_path / 'quarantine.txt').read_text() == '1\t1.png\tno image\n4\t4.png\tno image\n'


@pytest.mark.parametrize('name', [b'caf\xe9.png', b'new\nline.png', b'tab\t.png', b'a\xe2\x80\xa8b.png',
                                  '日本.png'.encode()],
                         ids=['no UTF-8', 'line break', 'tab', 'line separator', 'Japanese'])
def test_unusual_names_have_a_line_too(tmp_path, name):
    quarantine = Quarantine(10, 0.5)
    quarantine.add({1: UnreadableImage.of(os.fsdecode(name), 'the file is empty').entry, 2: '2.png\tno image'})
    list_quarantine(quarantine, str(tmp_path))
    lines = os.fsdecode((tmp_path / 'quarantine.txt').read_bytes()).splitlines()
    assert [line.split('\t')[0] for line in lines] == ['1', '2'] and lines[0].endswith('\tthe file is empty')
    assert all(len(line.split('\t')) == 3 for line in lines)


def test_in_one_process_there_is_nobody_to_tell():
    quarantine = Quarantine(10)
    quarantine.add({3: '3.png\tno image'})
    quarantine.share()
    assert quarantine.entries == {3: '3.png\tno image'}


def share_own():
    """Add what this process alone has found, share, and tell what it knows then."""
    quarantine = Quarantine(10, 0.9)
    rank = dist.get_rank()
    quarantine.add([{3: '3.png\tempty', 5: '5.png\tempty'}, {5: '5.png\tcut off', 8: '8.png\tempty'}, {}][rank])
    quarantine.share()
    return dict(sorted(quarantine.entries.items())), quarantine.readable.tolist()


@pytest.mark.e2e
def test_all_know_what_any_has_found():
    results = on_processes(3, share_own)
    for rank, (entries, readable) in enumerate(results):
        reason = 'cut off' if rank == 1 else 'empty'
        assert entries == {3: '3.png\tempty', 5: f'5.png\t{reason}', 8: '8.png\tempty'}
        assert readable == [0, 1, 2, 4, 6, 7, 9]


def list_slowly(work_dir):
    """Have too many unreadable images, whose list takes a while to write; tell whether it is there at the end."""
    quarantine = Quarantine(10, 0.1)
    quarantine.add({3: '3.png\tempty', 5: '5.png\tempty'})
    quarantine.share()
    write = training_set_hooks.write_atomically
    training_set_hooks.write_atomically = lambda *args: (time.sleep(0.3), write(*args))
    with pytest.raises(DataError, match='2 of 10 images cannot be read'):
        list_quarantine(quarantine, str(work_dir))
    return (work_dir / 'quarantine.txt').exists()


@pytest.mark.e2e
def test_no_process_stops_before_the_list_is_there(tmp_path):
    assert on_processes(2, list_slowly, tmp_path) == [True, True]


def train_here(paths, work_dir):
    """What one process sees of three epochs; three files go bad after the first."""
    late = {i: paths[i] for i in LATE}
    eyes, runner = train(
        paths[0].parent, work_dir, 3, batch_size=4, more_hooks=[After(0, lambda: damage(late, LATE))])
    return eyes, dict(runner.train_dataloader.dataset.quarantine.entries)


@pytest.mark.e2e
def test_two_processes_fill_every_place_and_hold_one_table(paths, tmp_path):
    entries = damage(paths, BAD)
    (first, known), (second, known_there) = on_processes(2, train_here, paths, tmp_path / 'work')
    entries.update({i: f'{paths[i]}\t{reason}' for i, reason in [
        (5, 'the file is empty'), (12, entries[3].split('\t')[1]), (21, entries[17].split('\t')[1])]})
    assert known == known_there == entries
    assert (tmp_path / 'work' / 'quarantine.txt').read_text() == listing(entries)
    for epoch, bad in [(0, BAD), (1, {**BAD, **LATE}), (2, {**BAD, **LATE})]:
        seen = [sample for eyes in (first, second) for sample in eyes.samples if sample[0] == epoch]
        assert len(seen) == N and first.ids(epoch) != second.ids(epoch)
        assert sorted(i for _, i, *_ in seen) == sorted(substitute(epoch, i, bad) if i in bad else i for i in range(N))
        table = first.tables[epoch]
        np.testing.assert_array_equal(second.tables[epoch], table)
        for _, anchor, positive, shown, shown_positive in seen:
            assert shown == anchor and anchor not in bad and positive not in bad
            assert shown_positive == (anchor if positive < 0 else positive)
            row = [j for j in table[anchor].tolist() if j >= 0 and j not in bad]
            assert positive in row if row else positive == -1
        in_table = BAD if epoch < 2 else bad
        assert (table[list(in_table)] == -1).all() and not np.isin(table, list(in_table)).any()
    assert first.batch_sizes == second.batch_sizes == [4] * 9


class Found(Hook):
    """Notes what this process has found by itself when an epoch ends."""

    priority = 'HIGHEST'

    def __init__(self):
        self.ids = []

    def after_train_epoch(self, runner):  # noqa: D102
        self.ids += sorted(runner.train_dataloader.dataset.quarantine.entries)


def refusal_here(paths, work_dir, begin):
    """The sentence with which this process stops, and what it had found in the epoch before."""
    found = Found()
    with pytest.raises(DataError) as caught:
        train(paths[0].parent, work_dir, 2, batch_size=4, max_unreadable=2 / 24, hook=hook_cfg(begin=begin),
              more_hooks=[found])
    return sentence(caught.value), found.ids


@pytest.mark.e2e
@pytest.mark.parametrize('begin', [0, 99], ids=['at the refresh', 'at the end of an epoch'])
def test_too_many_over_all_processes_stop_every_process(paths, tmp_path, begin):
    entries = damage(paths, BAD)
    (first, found), (second, found_there) = on_processes(2, refusal_here, paths, tmp_path / 'work', begin)
    reason = entries[3].replace('\t', ': ')
    assert first == second == (
        f'3 of 24 images cannot be read (the first is {reason}), more than the share of {2 / 24} that '
        'max_unreadable of the training set admits: see quarantine.txt in the work dir, and mend the data folder or '
        'raise that share.')
    assert (tmp_path / 'work' / 'quarantine.txt').read_text() == listing(entries)
    if begin:
        assert found and found_there and sorted(found + found_there) == sorted(BAD), 'each found others'
