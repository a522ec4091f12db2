"""When pages are written, what they compare, and that a training outlives them."""

import logging

import numpy as np
import pytest
from page_data import data_of, pictures_of
from training_runs import BATCH, EXTRACT_PIPELINE, N, P, hook_cfg, pairs_cfg, runner_of, train, write_images

from clim_mm.datasets import LoadImage
from clim_mm.errors import ConfigError
from clim_mm.hooks.refresh_reports import NeighborPageHook
from clim_mm.visualization import evenly_spread

pytestmark = pytest.mark.usefixtures('one_torch_thread')

A = 7  # anchors


def page_cfg(**kwargs):
    return dict(dict(type='NeighborPageHook', num_anchors=A), **kwargs)


def pages_of(work_dir):
    """The data of each page, by epoch."""
    paths = (work_dir / 'neighbors').iterdir()
    return {int(path.stem.removeprefix('epoch_')): data_of(path.read_text()) for path in paths}


def positives_on(data):
    return {row['id']: {entry[0] for entry in row['positives']} for row in data['anchors']}


def rows_of(table):
    return {i: set(row[row >= 0].tolist()) for i, row in enumerate(table)}


@pytest.fixture(scope='module')
def run(folder, tmp_path_factory):
    """Five epochs, refreshed before 0, 2 and 4: the work dir, and what a witness saw."""
    work_dir = tmp_path_factory.mktemp('run')
    witness, _ = train(folder, work_dir, 5, num_workers=0, more_hooks=[page_cfg()], checkpoints=True)
    return work_dir, witness


def test_a_page_for_each_refresh_shows_the_table_of_the_training(run):
    work_dir, witness = run
    pages = pages_of(work_dir)
    assert sorted(pages) == [0, 2, 4]
    for epoch, data in pages.items():
        expected = rows_of(witness.tables[epoch])
        assert positives_on(data) == {i: expected[i] for i in evenly_spread(N, A).tolist()}, 'the same anchors'
        assert data['facts']['title'] == f'Positives of the refresh before epoch {epoch}'
        assert [data['facts'][name] for name in ('strategy', 'images', 'clusters', 'neighbors', 'positives')] == \
            ['center_wise', N, 4, 6, P]
        assert {name for name, _ in data['facts']['whole']} == {'without positive', 'purity'} | (
            {'new positives'} if epoch else set())
        assert all(picture.shape == (64, 64, 3) for picture in pictures_of(data).values())


def test_changes_are_against_the_refresh_before(run):
    work_dir, witness = run
    pages = pages_of(work_dir)
    assert not pages[0]['facts']['previous'] and pages[2]['facts']['previous']
    changes = 0
    for epoch in (2, 4):
        before, now = rows_of(witness.tables[epoch - 2]), rows_of(witness.tables[epoch])
        for row in pages[epoch]['anchors']:
            fresh = {entry[0] for entry in row['positives'] if entry[4]}
            assert fresh == now[row['id']] - before[row['id']]
            assert set(row['gone']) == before[row['id']] - now[row['id']]
            changes += len(fresh)
    assert changes > 0


def test_a_resumed_run_compares_with_the_table_of_its_checkpoint(folder, run, tmp_path):
    work_dir, _ = run
    train(
        folder, tmp_path, 3, num_workers=0, more_hooks=[page_cfg()], resume=True,
        load_from=str(work_dir / 'epoch_2.pth'))
    assert pages_of(tmp_path) == {2: pages_of(work_dir)[2]}


def test_every_other_refresh(folder, tmp_path):
    train(folder, tmp_path, 5, num_workers=0, more_hooks=[page_cfg(interval=2)])
    pages = pages_of(tmp_path)
    assert sorted(pages) == [0, 4]
    assert pages[4]['facts']['previous'], 'the refresh before, although it has no page'


def test_no_hook_no_page(folder, tmp_path):
    train(folder, tmp_path, 1, num_workers=0)
    assert not (tmp_path / 'neighbors').exists()


def test_unreadable_images_are_shown_as_such(tmp_path):
    folder = tmp_path / 'images'
    write_images(folder, N)
    broken = sorted(folder.rglob('*.png'))[0]
    broken.write_bytes(broken.read_bytes()[:60])
    dataset = dict(pairs_cfg(folder), max_unreadable=0.5)
    loader = dict(
        batch_size=BATCH, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset,
        collate_fn=dict(type='clim_mm.stack_collate'))
    train(folder, tmp_path / 'work', 1, train_dataloader=loader, more_hooks=[page_cfg(), dict(type='QuarantineHook')])
    data = pages_of(tmp_path / 'work')[0]
    row = data['anchors'][0]
    assert (row['id'], row['positives'], row['neighbors'], row['center']) == (0, [], [], None)
    _, _, cluster, tail, reason = data['images']['0']
    assert cluster == -1 and tail is None and 'cut off or damaged' in reason
    assert [image_id for image_id, picture in pictures_of(data).items() if picture is None] == [0]


def break_always(*args, **kwargs):
    raise RuntimeError('no such luck')


@pytest.mark.parametrize('by_a_bug', [False, True])
def test_a_page_that_fails_costs_a_warning_alone(folder, tmp_path, monkeypatch, by_a_bug):
    if by_a_bug:
        monkeypatch.setattr('clim_mm.hooks.refresh_reports.positives_page', break_always)
    tmp_path.joinpath('neighbors').write_text('a file where the folder should be')
    runner = runner_of(folder, tmp_path, 1, num_workers=0, more_hooks=[page_cfg()], log_level='WARNING')
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    runner.logger.addHandler(handler)
    runner.train()
    assert runner.epoch == 1
    assert said.count('The page of this refresh is missing:') == 1


def test_the_other_processes_write_nothing(folder, tmp_path):
    runner = runner_of(folder, tmp_path, num_workers=0)
    hook = NeighborPageHook(num_anchors=A)
    runner.register_hook(hook)
    hook.before_train(runner)
    hook.after_neighbor_refresh(runner, None, None)
    assert not (tmp_path / 'neighbors').exists()


def test_images_are_read_as_the_extraction_reads_them(folder, tmp_path):
    load, seen = LoadImage(), []

    def own_load(results):
        seen.append(results['img_path'])
        return load(results)

    pipeline = [own_load, *EXTRACT_PIPELINE[1:]]
    train(
        folder, tmp_path, 1, num_workers=0, more_hooks=[page_cfg()],
        hook=hook_cfg(extract=dict(pipeline=pipeline, batch_size=10, num_workers=0)))
    on_page = seen[N:]
    assert len(set(seen[:N])) == N, 'the extraction'
    assert len(on_page) == len(set(on_page)) == len(pages_of(tmp_path)[0]['images']), 'the page, each once'


@pytest.mark.parametrize('options, complaint', [
    (dict(num_anchors=0), 'num_anchors of NeighborPageHook must be a whole number of at least 1, not 0'),
    (dict(thumbnail=1000), 'thumbnail of NeighborPageHook must be a whole number from 16 to 256'),
    (dict(interval=True), 'interval of NeighborPageHook must be a whole number'),
])
def test_options_out_of_range_are_refused(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        NeighborPageHook(**options)


def test_without_refreshes_it_is_refused(folder, tmp_path):
    runner = runner_of(folder, tmp_path, num_workers=0, custom_hooks=[page_cfg()])
    with pytest.raises(ConfigError, match='needs refreshes of the neighbours, as .* has none: inherit'):
        runner.train()


def test_the_anchors_of_the_ids_are_the_files(folder, run):
    data = pages_of(run[0])[0]
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob('*.png'))
    assert all(data['images'][i][0] == paths[int(i)] for i in data['images'])
    assert np.array_equal([row['id'] for row in data['anchors']], evenly_spread(N, A))
