"""What the hooks find in a Runner, and why one does not fit them."""

import pytest
import torch
from gloo import on_processes
from mmengine.model import is_model_wrapper
from training_runs import EXTRACT_PIPELINE, hook_cfg, model_cfg, runner_of

from clim_mm.datasets import NeighborPairs
from clim_mm.distributed import DeviceDDP
from clim_mm.errors import CheckpointError, ConfigError
from clim_mm.hooks.runner_parts import dataset_with, model_with, part_of_checkpoint, resumed
from clim_mm.models import CLIM
from clim_mm.protocols import HasQueues, TakesNeighbors

pytestmark = pytest.mark.usefixtures('one_torch_thread')

MOCO_HEAD = dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss'), temperature=0.2)


def built(*args, **kwargs):
    """A runner whose loader is built, as it is when the hooks are called."""
    runner = runner_of(*args, num_workers=0, **kwargs)
    assert runner.train_loop.dataloader is runner.train_dataloader
    return runner


def test_the_training_set_and_the_model(folder, tmp_path):
    runner = built(folder, tmp_path)
    assert dataset_with(runner, TakesNeighbors, 'Hook') is runner.train_loop.dataloader.dataset
    assert isinstance(dataset_with(runner, TakesNeighbors, 'Hook'), NeighborPairs)
    assert model_with(runner, HasQueues, 'Hook') is runner.model and isinstance(runner.model, CLIM)


def what_is_found_in_a_wrapper(folder, work_dir):
    """Whether the model of a wrapped one is found."""
    runner = runner_of(folder, work_dir)
    inner = runner.model
    runner.model = DeviceDDP(inner, broadcast_buffers=False)
    return is_model_wrapper(runner.model) and model_with(runner, HasQueues, 'Hook') is inner


@pytest.mark.e2e
def test_the_model_is_found_in_its_wrapper(folder, tmp_path):
    assert on_processes(1, what_is_found_in_a_wrapper, folder, tmp_path) == [True]


def test_another_training_set_is_refused(folder, tmp_path):
    dataset = dict(type='mmcls.CustomDataset', data_root=str(folder), pipeline=EXTRACT_PIPELINE)
    runner = built(folder, tmp_path, train_dataloader=dict(
        batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset))
    with pytest.raises(ConfigError) as error:
        dataset_with(runner, TakesNeighbors, 'SomeHook')
    assert str(error.value) == (
        'SomeHook needs a neighbour table, as NeighborPairs has, and CustomDataset has none: wrap the training set, as '
        'configs/_base_/datasets does, or take the hook out of the config.')


def test_another_model_is_refused(folder, tmp_path):
    runner = runner_of(folder, tmp_path, model=model_cfg(type='mmselfsup.MoCo', head=MOCO_HEAD))
    with pytest.raises(ConfigError) as error:
        model_with(runner, HasQueues, 'SomeHook')
    assert str(error.value) == (
        'SomeHook needs queues of keys, as CLIM has, and MoCo has none: take another model.type, or the hook out of '
        'the config.')


def test_what_counts_as_resumed(folder, tmp_path):
    first = runner_of(folder, tmp_path, hook=hook_cfg(begin=5), num_workers=0, checkpoints=True)
    first.train()
    path = str(tmp_path / 'epoch_1.pth')
    for resume in (True, False):
        runner = runner_of(folder, tmp_path, num_workers=0, load_from=path, resume=resume)
        assert runner.train_loop.epoch == 0 and not resumed(runner)
        runner.load_or_resume()
        assert resumed(runner) is resume
        assert torch.equal(runner.model.queue.keys, first.model.queue.keys)


@pytest.mark.parametrize('fault', [
    ValueError('two lines\nof it.'), KeyError('table'), IndexError('5'), TypeError('None'), AttributeError('cpu')])
def test_a_fault_in_a_part_of_the_checkpoint_is_the_checkpoints(fault):
    with pytest.raises(CheckpointError) as error, part_of_checkpoint('table'):
        raise fault
    assert str(error.value).startswith('The table of the checkpoint cannot be taken up (')
    assert str(error.value).endswith('): it belongs to another training set, or was altered; give another checkpoint.')
    assert len(str(error.value).splitlines()) == 1 and error.value.__cause__ is fault


def test_other_faults_are_left_alone():
    with pytest.raises(RuntimeError, match='other'), part_of_checkpoint('table'):
        raise RuntimeError('other')
    with part_of_checkpoint('table'):
        pass
