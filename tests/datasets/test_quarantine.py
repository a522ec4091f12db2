"""The ids of unreadable images: as all processes see them, as a list, in a checkpoint, and when they are too many."""

import multiprocessing

import pytest
import torch

from clim_mm.datasets import Quarantine
from clim_mm.errors import ConfigError, DataError, sentence

ENTRIES = {7: 'b/7.png\tthe file is empty', 2: 'a/2.png\tIs a directory'}


def held(num_samples=10, max_share=0.5, entries=ENTRIES):
    quarantine = Quarantine(num_samples, max_share)
    quarantine.add(entries)
    return quarantine


def test_a_new_one_holds_nothing():
    quarantine = Quarantine(4)
    assert len(quarantine) == 0 and not any(quarantine.holds(i) for i in range(4))
    assert quarantine.readable.tolist() == [0, 1, 2, 3] and quarantine.readable.dtype == 'int64'
    assert quarantine.listing() == '' and quarantine.entries == {}
    quarantine.check()


def test_what_is_added_is_held_and_listed_by_id():
    quarantine = held()
    assert len(quarantine) == 2
    assert [i for i in range(10) if quarantine.holds(i)] == [2, 7]
    assert quarantine.readable.tolist() == [0, 1, 3, 4, 5, 6, 8, 9]
    assert quarantine.listing() == '2\ta/2.png\tIs a directory\n7\tb/7.png\tthe file is empty\n'


def test_what_is_marked_is_held_before_its_entry_is_there():
    quarantine = held()
    quarantine.mark(4)
    assert len(quarantine) == 3 and quarantine.holds(4) and 4 not in quarantine.readable
    assert '4\t' not in quarantine.listing()
    quarantine.add({4: '4.png\tno image'})
    assert len(quarantine) == 3 and '\n4\t4.png\tno image\n' in quarantine.listing()


def test_the_first_entry_of_an_image_stays():
    quarantine = held()
    quarantine.add({2: 'a/2.png\tanother reason', 3: '3.png\tno image'})
    assert quarantine.entries == {**ENTRIES, 3: '3.png\tno image'}


@pytest.mark.parametrize('num_held, num_samples, max_share, stops', [
    (0, 10, 0.0, False),
    (1, 10, 0.0, True),
    (1, 99, 0.01, True),
    (1, 100, 0.01, False),
    (2, 100, 0.01, True),
    (7, 100, 0.07, False),
    (29, 100, 0.29, False),  # 0.29 * 100 is below 29 in floating point
    (30, 100, 0.29, True),
    (9, 10, 0.9, False),
    (10, 10, 0.9, True),
])
def test_more_than_the_share_stops_and_the_share_itself_does_not(num_held, num_samples, max_share, stops):
    quarantine = held(num_samples, max_share, {i: f'{i}.png\tno image' for i in range(num_held)})
    if stops:
        with pytest.raises(DataError, match=f'{num_held} of {num_samples} images cannot be read'):
            quarantine.check()
    else:
        quarantine.check()


def test_the_error_is_a_sentence_that_names_an_image_the_list_and_the_remedy():
    with pytest.raises(DataError) as caught:
        held(max_share=0.15).check()
    assert sentence(caught.value) == (
        '2 of 10 images cannot be read (the first is a/2.png: Is a directory), more than the share of 0.15 that '
        'max_unreadable of the training set admits: see quarantine.txt in the work dir, and mend the data folder or '
        'raise that share.')


def test_too_many_that_are_only_marked_stop_too():
    quarantine = Quarantine(10, 0.15)
    for i in (3, 4):
        quarantine.mark(i)
    with pytest.raises(DataError, match='2 of 10 images'):
        quarantine.check()


@pytest.mark.parametrize('max_share', [-0.01, 1, 1.0, 7, float('nan'), float('inf')])
def test_a_share_out_of_range_is_an_error(max_share):
    with pytest.raises(ConfigError, match=f'max_unreadable .* of at least 0 and below 1, not {max_share}'):
        Quarantine(10, max_share)


def test_a_checkpoint_brings_it_back(tmp_path):
    torch.save(held().state_dict(), tmp_path / 'quarantine.pth')
    state = torch.load(tmp_path / 'quarantine.pth', weights_only=True)
    restored = held(entries={2: 'a/2.png\tknown already', 9: '9.png\tno image'})
    restored.load_state_dict(state)
    assert restored.entries == {2: 'a/2.png\tknown already', 7: ENTRIES[7], 9: '9.png\tno image'}
    assert restored.readable.tolist() == [0, 1, 3, 4, 5, 6, 8]


def test_a_state_is_a_copy():
    quarantine = held()
    state = quarantine.state_dict()
    quarantine.add({5: '5.png\tno image'})
    assert state == dict(ids=[7, 2], entries=[ENTRIES[7], ENTRIES[2]])


@pytest.mark.parametrize('ids, entries', [
    ([10], ['of a larger set\tno image']),
    ([-1], ['a.png\tno image']),
    (['3'], ['a.png\tno image']),
    ([3], [None]),
    ([3, 4], ['a.png\tno image']),
])
def test_a_state_that_cannot_be_of_this_set_is_an_error_and_changes_nothing(ids, entries):
    quarantine = held()
    with pytest.raises(ValueError, match='no ids of 10 images|shorter'):
        quarantine.load_state_dict(dict(ids=ids, entries=entries))
    assert quarantine.entries == ENTRIES and len(quarantine) == 2


def mark_on_demand(quarantine, connection):
    """Run in a child: mark the ids that come in, and send what is held and what has an entry there."""
    while (sample_idx := connection.recv()) >= 0:
        quarantine.mark(sample_idx)
        connection.send(([i for i in range(10) if quarantine.holds(i)], sorted(quarantine.entries)))


def test_running_processes_see_each_others_marks():
    quarantine = held()
    context = multiprocessing.get_context('fork')
    here, there = context.Pipe()
    child = context.Process(target=mark_on_demand, args=(quarantine, there), daemon=True)
    child.start()
    try:

        def ask(sample_idx):
            here.send(sample_idx)
            assert here.poll(60), 'the child does not answer'
            return here.recv()

        assert ask(4) == ([2, 4, 7], [2, 7])
        assert quarantine.holds(4) and quarantine.readable.tolist() == [0, 1, 3, 5, 6, 8, 9]
        quarantine.add({0: '0.png\tno image'})
        assert ask(5) == ([0, 2, 4, 5, 7], [2, 7]), 'marks go round at once, entries with the samples'
        assert len(quarantine) == 5 and sorted(quarantine.entries) == [0, 2, 7]
        here.send(-1)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
