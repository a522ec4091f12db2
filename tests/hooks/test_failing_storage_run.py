"""Whole trainings on a storage that fails: nothing is lost, or the run stops and a resumed one goes on."""

import errno
import os

import pytest
from flaky_storage import FlakyBackend
from training_runs import BATCH, EXTRACT_PIPELINE, N, hook_cfg, pairs_cfg, train, write_images

from clim_mm import storage
from clim_mm.errors import StorageError

HOOKS = dict(quarantine=dict(type='QuarantineHook'), manifest=dict(type='ManifestHook'),
             sampler_seed=dict(type='EpochRandomnessHook'), checkpoint=dict(type='CheckpointHook', interval=1))

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures('one_torch_thread')]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(storage, 'PAUSES', (0.0, ) * 8)


def run(folder, work_dir, epochs, num_workers=0, backend=None, **settings):
    load = dict(type='LoadImage', backend_args=dict(backend, backend='flaky') if backend else None)
    pairs = pairs_cfg(folder)
    pairs['pipeline'][0]['load'] = [load]
    extract = dict(pipeline=[load, *EXTRACT_PIPELINE[1:]], batch_size=10, num_workers=0)
    return train(
        folder, work_dir, epochs, hook=hook_cfg(extract=extract), default_hooks=HOOKS,
        train_dataloader=dict(
            batch_size=BATCH, num_workers=num_workers, persistent_workers=num_workers > 0, drop_last=True,
            sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='clim_mm.stack_collate'),
            dataset=pairs), **settings)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_a_run_over_reads_that_fail_is_the_run_without(tmp_path, num_workers):
    write_images(tmp_path / 'images', N)
    before = next(FlakyBackend.reads)
    runs = [run(tmp_path / 'images', tmp_path / name, 2, num_workers, backend) for name, backend in [
        ('sound', None), ('failing', dict(every=5, number=errno.ESTALE))]]
    assert next(FlakyBackend.reads) > before + 20
    (sound, _), (failing, runner) = runs
    strip = [[sample[:4] for sample in witness.samples] for witness in (sound, failing)]
    assert strip[0] == strip[1] and len(runner.train_dataloader.dataset.quarantine) == 0
    assert not (tmp_path / 'failing' / 'quarantine.txt').exists()


def test_a_run_on_a_storage_that_is_gone_stops_and_goes_on_later(tmp_path):
    write_images(tmp_path / 'images', N)
    run(tmp_path / 'images', tmp_path / 'work', 1)
    resume = dict(resume=True, load_from=str(tmp_path / 'work' / 'epoch_1.pth'))
    with pytest.raises(StorageError, match='not to blame'):
        run(tmp_path / 'images', tmp_path / 'work', 2, backend=dict(every=1), **resume)
    assert sorted(name for name in os.listdir(tmp_path / 'work') if 'epoch_' in name) == ['epoch_1.pth']
    assert not (tmp_path / 'work' / 'quarantine.txt').exists()
    _, runner = run(tmp_path / 'images', tmp_path / 'work', 2, **resume)
    assert runner.epoch == 2 and len(runner.train_dataloader.dataset.quarantine) == 0
