"""Damaged files in real training runs: who is trained on, what the table holds, what is listed and saved."""

import shutil

import numpy as np
import pytest
import torch
from colored_images import cut_off, damage, empty, listing, make_text, write_colored
from colored_runs import After, check_samples, colored_runner, train
from mmengine.hooks import Hook
from training_runs import BATCH, STEPS, N, hook_cfg, lines_of, runner_of

from clim_mm.checkpoints import read_checkpoint
from clim_mm.errors import ConfigError, DataError, sentence

BAD = {0: empty, 3: cut_off, 17: make_text}

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def check_table(table, bad):
    assert (table[list(bad)] == -1).all() and not np.isin(table, list(bad)).any()
    others = np.setdiff1d(np.arange(N), list(bad))
    assert (table[others, 0] >= 0).all(), 'the others have positives'


@pytest.mark.parametrize('num_workers', [0, pytest.param(2, marks=pytest.mark.e2e)])
def test_damaged_files_are_nobodys_row_sample_or_positive(paths, tmp_path, num_workers):
    entries = damage(paths, BAD)
    eyes, runner = train(paths[0].parent, tmp_path / 'work', 3, num_workers=num_workers)
    assert (tmp_path / 'work' / 'quarantine.txt').read_text() == listing(entries)
    assert runner.train_dataloader.dataset.quarantine.entries == entries
    assert eyes.batch_sizes == [BATCH] * STEPS * 3, 'batches stay full'
    for epoch in range(3):
        check_samples(eyes, epoch, BAD)
        check_table(eyes.tables[epoch], BAD)
    lines = lines_of(tmp_path / 'work')
    assert [(line['epoch'], line['version']) for line in lines] == [(0, 1), (2, 2)]
    assert lines[1]['positives_changed'] >= 0 and not np.array_equal(eyes.tables[2], np.full((N, 3), -1))


def test_without_damaged_files_there_is_no_list(paths, tmp_path):
    eyes, runner = train(paths[0].parent, tmp_path / 'work', 1)
    check_samples(eyes, 0, {})
    assert not (tmp_path / 'work' / 'quarantine.txt').exists() and len(runner.train_dataloader.dataset.quarantine) == 0


@pytest.mark.parametrize('num_workers', [0, pytest.param(2, marks=pytest.mark.e2e)])
def test_files_that_go_bad_in_the_middle_give_way_at_once(paths, tmp_path, num_workers):
    early, late = {3: cut_off}, {5: empty, 11: make_text}
    entries = damage(paths, early)
    later = {}
    eyes, runner = train(
        paths[0].parent, tmp_path / 'work', 3, num_workers=num_workers,
        more_hooks=[After(0, lambda: later.update(damage(paths, late)))])
    check_samples(eyes, 0, early)
    check_samples(eyes, 1, {**early, **late})
    check_samples(eyes, 2, {**early, **late})
    assert np.isin(eyes.tables[1], list(late)).any(), 'the table of epoch 1 still points to them'
    np.testing.assert_array_equal(eyes.tables[1], eyes.tables[0])
    check_table(eyes.tables[2], {**early, **late})
    assert (tmp_path / 'work' / 'quarantine.txt').read_text() == listing({**entries, **later})


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """Folder, entries and witness of a run over damaged files, of four epochs, refreshed at 0 and 2."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as every run of this file: the module's fixtures come before the test's
    root = tmp_path_factory.mktemp('undisturbed')
    paths = write_colored(root / 'images', N)
    entries = damage(paths, BAD)
    yield root / 'images', entries, train(root / 'images', root / 'work', 4)[0]
    torch.set_num_threads(threads)


class Before(Hook):
    """Notes what is known before anything is read."""

    priority = 'HIGHEST'

    def __init__(self):
        self.entries = None

    def before_train_epoch(self, runner):  # noqa: D102
        if self.entries is None:
            self.entries = dict(runner.train_dataloader.dataset.quarantine.entries)


@pytest.mark.e2e
@pytest.mark.parametrize('stop', [1, 2])
def test_a_resumed_run_knows_before_it_reads_and_goes_on_the_same(undisturbed, tmp_path, stop):
    folder, entries, whole = undisturbed
    train(folder, tmp_path / 'parts', stop, checkpoints=True)
    before = Before()
    eyes, _ = train(
        folder, tmp_path / 'parts', 4, num_workers=2, resume=True,
        load_from=str(tmp_path / 'parts' / f'epoch_{stop}.pth'), more_hooks=[before])
    assert before.entries == entries
    assert eyes.samples == [sample for sample in whole.samples if sample[0] >= stop]
    assert eyes.lam == whole.lam[stop * STEPS * BATCH:]
    np.testing.assert_array_equal(eyes.tables[3], whole.tables[3])
    assert (tmp_path / 'parts' / 'quarantine.txt').read_text() == listing(entries)


@pytest.mark.e2e
def test_what_a_checkpoint_knows_is_not_read_again(undisturbed, tmp_path):
    folder, entries, whole = undisturbed
    shutil.copytree(folder, tmp_path / 'mended')
    work = tmp_path / 'work'
    train(tmp_path / 'mended', work, 1, checkpoints=True, hooks=dict(quarantine=dict(type='QuarantineHook')))
    write_colored(tmp_path / 'mended', N)  # all can be read now
    eyes, runner = train(
        tmp_path / 'mended', work, 4, hooks=dict(quarantine=dict(type='QuarantineHook')), resume=True,
        load_from=str(work / 'epoch_1.pth'))
    assert eyes.samples == [sample for sample in whole.samples if sample[0] >= 1]
    assert sorted(runner.train_dataloader.dataset.quarantine.entries) == sorted(entries)


def test_a_checkpoint_holds_it_as_plain_data(paths, tmp_path):
    entries = damage(paths, BAD)
    train(paths[0].parent, tmp_path / 'work', 1, checkpoints=True)
    state = read_checkpoint(tmp_path / 'work' / 'epoch_1.pth')['quarantine']
    assert dict(zip(state['ids'], state['entries'], strict=True)) == entries
    torch.save(state, tmp_path / 'state.pth')
    assert torch.load(tmp_path / 'state.pth', weights_only=True) == state


def test_weights_alone_bring_no_quarantine(paths, tmp_path):
    damage(paths, BAD)
    train(paths[0].parent, tmp_path / 'first', 1, checkpoints=True)
    write_colored(paths[0].parent, N)
    before = Before()
    eyes, _ = train(
        paths[0].parent, tmp_path / 'second', 1, load_from=str(tmp_path / 'first' / 'epoch_1.pth'),
        more_hooks=[before])
    assert before.entries == {}
    check_samples(eyes, 0, {})
    assert not (tmp_path / 'second' / 'quarantine.txt').exists()


@pytest.mark.parametrize('ways, first', [
    (BAD, 0),
    (dict.fromkeys(range(N), empty), 0),
    ({9: make_text, 4: empty, 8: empty}, 4),
])
def test_too_many_stop_the_run_at_the_refresh_and_the_list_is_there(paths, tmp_path, ways, first):
    entries = damage(paths, ways)
    runner = colored_runner(paths[0].parent, tmp_path / 'work', max_unreadable=2 / 24)
    with pytest.raises(DataError) as caught:
        runner.train()
    reason = entries[first].replace('\t', ': ')
    assert sentence(caught.value).startswith(
        f'{len(ways)} of 24 images cannot be read (the first is {reason}), more than the share of ')
    assert (tmp_path / 'work' / 'quarantine.txt').read_text() == listing(entries)
    assert runner.train_dataloader.dataset.table.version == 0 and not (tmp_path / 'work' / 'neighbors.jsonl').exists()


def test_too_many_between_two_refreshes_stop_the_run_at_the_end_of_the_epoch(paths, tmp_path):
    entries = {}
    with pytest.raises(DataError, match='3 of 24 images cannot be read'):
        train(paths[0].parent, tmp_path / 'work', 4, max_unreadable=2 / 24, num_workers=2, checkpoints=True,
              hook=hook_cfg(interval=4), more_hooks=[After(0, lambda: entries.update(damage(paths, BAD)))])
    assert (tmp_path / 'work' / 'quarantine.txt').read_text() == listing(entries)
    assert not (tmp_path / 'work' / 'epoch_2.pth').exists() and (tmp_path / 'work' / 'epoch_1.pth').exists()


@pytest.mark.parametrize('num_workers', [0, pytest.param(1, marks=pytest.mark.e2e)])
def test_if_nothing_can_be_read_the_run_stops_without_a_refresh_too(paths, tmp_path, num_workers):
    damage(paths, {i: empty for i in range(N)})
    with pytest.raises(DataError) as caught:
        train(paths[0].parent, tmp_path / 'work', hook=hook_cfg(begin=5), num_workers=num_workers)
    assert sentence(caught.value).startswith(f'100 images in a row cannot be read (the first is {paths[0].parent}')
    assert sentence(caught.value).endswith('.png: the file is empty): mend the data folder.')


def test_a_plain_dataset_is_refused(paths, tmp_path):
    loader = dict(
        batch_size=BATCH, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(type='ImageFolder', data_root=str(paths[0].parent), pipeline=[dict(type='LoadImage')]))
    runner = runner_of(paths[0].parent, tmp_path, hook=dict(type='QuarantineHook'), train_dataloader=loader)
    with pytest.raises(ConfigError, match='needs a quarantine of unreadable images, .* ImageFolder has none'):
        runner.train()
