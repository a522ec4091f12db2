"""A training as the commands make it, whoever's its config is."""

import time

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DATASETS
from toy_runs import NUMBERS, Numbers, toy_config

from clim_mm.checkpoints.run_folder import read_run
from clim_mm.datasets.sample_randomness import SampleRandomness
from clim_mm.errors import CheckpointError, ConfigError, MachineError
from clim_mm.launch.commands import train
from clim_mm.launch.run_folders import held_folders


@pytest.fixture(autouse=True)
def no_run_afterwards():
    """Let no id of these trainings get into other tests' records."""
    yield
    MessageHub.get_instance(f'train_{next(NUMBERS)}')


def config_of(work_dir, epochs, **optimizer):
    cfg = toy_config(work_dir, epochs, model=dict(type='toy_runs.Linear'), train_dataloader=dict(
        batch_size=2, num_workers=0, dataset=dict(type='toy_runs.Numbers'), collate_fn=dict(type='default_collate'),
        sampler=dict(type='DefaultSampler', shuffle=False)))
    cfg.optim_wrapper.optimizer = optimizer or dict(type='SGD', lr=0.1, momentum=0.9)
    cfg.log_level = 'WARNING'
    (file := work_dir.parent / 'toy.py').touch()
    return Config(cfg.to_dict(), filename=str(file))


def train_toy(work_dir, epochs, resume=None, **optimizer):
    cfg = config_of(work_dir, epochs, **optimizer)
    with held_folders(cfg, resume, None) as folders:
        train(cfg, folders)


def test_a_config_of_anothers_goes_on_with_its_settings_and_a_refused_start_changes_nothing(tmp_path, capfd):
    work_dir = tmp_path / 'work'
    train_toy(work_dir, 1)
    copy, run = (work_dir / 'toy.py').read_text(), read_run(str(work_dir))
    assert 'lr=0.1' in copy
    with pytest.raises(ConfigError, match='was trained with SGD, whose state is of no use to Adam'):
        train_toy(work_dir, 2, 'auto', type='Adam', lr=0.1)
    assert (work_dir / 'toy.py').read_text() == copy and read_run(str(work_dir)).id == run.id

    capfd.readouterr()
    train_toy(work_dir, 2, 'auto', type='SGD', lr=0.3, momentum=0.9)
    table = capfd.readouterr().out.partition('epoch_1.pth, saved after epoch 1, and of this training:')[2]
    assert '  optim_wrapper.optimizer.lr  0.1         0.3     0.3\n' in table
    assert 'lr=0.3' in (work_dir / 'toy.py').read_text()


def test_a_log_on_a_disk_that_was_full_before(tmp_path, capfd):
    now = time.time()
    for second in range(60):  # MMEngine names its log by the time
        name = time.strftime('%Y%m%d_%H%M%S', time.localtime(now + second))
        (tmp_path / 'work' / name).mkdir(parents=True)
        (tmp_path / 'work' / name / f'{name}.log').symlink_to('/dev/full')
    cfg = config_of(tmp_path / 'work', 1)
    cfg.log_level = 'INFO'
    with pytest.raises(MachineError, match='No space left'):
        train(cfg, [])
    said = capfd.readouterr().err
    assert said.startswith('Lines are missing in ') and said.count('\n') == 1


@pytest.mark.parametrize('path, value, words', [
    ('optim_wrapper.optimizer.lr', 'a', r"The training cannot be set up \(TypeError: '<' not supported between"),
    ('train_dataloader.num_workers', -1, r'cannot be set up \(ValueError: num_workers option should be non-negative'),
    ('custom_hooks', 3, r"The training cannot be set up \(TypeError: 'int' object is not iterable\)\."),
])
def test_what_cannot_be_built_is_told_with_its_cause(tmp_path, path, value, words):
    cfg = config_of(tmp_path / 'work', 1)
    cfg.merge_from_dict({path: value})
    with pytest.raises(ConfigError, match=words):
        train(cfg, [])


@DATASETS.register_module()
class Seeded(Numbers):
    """Has what EpochRandomnessHook serves."""

    randomness = SampleRandomness()


@DATASETS.register_module()
class Quarantined(Numbers):
    """Has what QuarantineHook serves."""

    dataset, quarantine = range(6), None


@DATASETS.register_module()
class Paired(Quarantined):
    """Has what CenterWiseNeighborHook serves, too."""

    table = None


@pytest.mark.parametrize('dataset, hook', [
    ('Seeded', 'EpochRandomnessHook'), ('Quarantined', 'QuarantineHook'), ('Paired', 'CenterWiseNeighborHook')])
def test_a_training_set_needs_the_hooks_that_serve_it(tmp_path, dataset, hook):
    cfg = config_of(tmp_path / 'work', 1)
    cfg.train_dataloader.dataset.type = dataset
    with pytest.raises(ConfigError, match=f'The training set, a {dataset}, needs a {hook} in default_hooks or custom'):
        train(cfg, [])
    if dataset == 'Seeded':
        cfg.custom_hooks = [dict(type='clim_mm.EpochRandomnessHook')]
        train(cfg, [])


def test_an_error_of_a_step_is_left_as_it_is(tmp_path):
    cfg = config_of(tmp_path / 'work', 1)
    cfg.model.type = 'toy_runs.Stumbling'
    with pytest.raises(LookupError, match='where am I'):
        train(cfg, [])


def test_a_checkpoint_that_cannot_be_taken_up(tmp_path):
    train(config_of(tmp_path / 'work', 1), [])
    torch.save(dict(torch.load(tmp_path / 'work' / 'epoch_1.pth', weights_only=False), message_hub={}),
               tmp_path / 'odd.pth')
    cfg = config_of(tmp_path / 'work', 2)
    cfg.resume, cfg.load_from = True, str(tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match='The checkpoint .*/odd.pth cannot be taken up .AssertionError: '):
        train(cfg, [])
