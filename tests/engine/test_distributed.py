"""Two real processes on the CPU: gradients are averaged; and launches that cannot work are refused."""

import os

import pytest
import torch
import torch.distributed as torch_dist
from gloo import on_processes
from mmengine import dist
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS

from clim_mm.engine import DeviceDDP
from clim_mm.engine.distributed import host_group, prepare_launch
from clim_mm.errors import ConfigError

INPUTS = torch.tensor([[1.0, 2.0], [3.0, 5.0]])


def gradient_on_this_process():
    """Launch as tools/train.py does, and give what one backward leaves in ``weight.grad``, with the wrapper's name."""
    cfg = Config(dict(model=dict()))
    prepare_launch(cfg, 'pytorch')
    prepare_launch(cfg, 'pytorch')  # the group is there already: left alone
    torch.manual_seed(dist.get_rank())  # DDP makes the weights those of rank 0
    wrapper = MODEL_WRAPPERS.build(dict(cfg.model_wrapper_cfg, module=torch.nn.Linear(2, 1, bias=False),
                                        device_ids=[dist.get_rank()]))
    wrapper(INPUTS[dist.get_rank()]).sum().backward()
    weight = wrapper.module.weight
    return (dist.get_backend(), dist.get_dist_info(), type(wrapper).__name__, weight.tolist(), weight.grad.tolist(),
            dict(cfg.model_wrapper_cfg))


@pytest.mark.usefixtures('one_torch_thread')
def test_gradients_are_averaged_over_two_processes():
    results = on_processes(2, gradient_on_this_process, init=False)
    for rank, (backend, info, name, weight, gradient, wrapper_cfg) in enumerate(results):
        assert backend == 'gloo' and info == (rank, 2) and name == 'DeviceDDP'
        assert gradient == INPUTS.mean(dim=0, keepdim=True).tolist()
        assert weight == results[0][3]
        assert wrapper_cfg == dict(type='clim_mm.DeviceDDP', broadcast_buffers=False, find_unused_parameters=False)


def rank_under_slurm():
    """Launch as srun does: RANK and the like are not there, or someone else's."""
    rank = os.environ['RANK']
    os.environ.update(SLURM_PROCID=rank, SLURM_LOCALID=rank, SLURM_NTASKS=os.environ['WORLD_SIZE'])
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        del os.environ[name]
    cfg = Config(dict(find_unused_parameters=True))
    prepare_launch(cfg, 'slurm')
    total = torch.tensor([10.0**dist.get_rank()])
    torch_dist.all_reduce(total)
    variables = [os.environ[name] for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')]
    return variables, total.item(), cfg.model_wrapper_cfg.find_unused_parameters


def test_slurms_variables_are_taken():
    results = on_processes(2, rank_under_slurm, init=False)
    assert results == [(['0', '0', '2'], 11.0, True), (['1', '1', '2'], 11.0, True)]


def sums_in_host_memory():
    """Sum over the host group, and tell whether it is one group throughout."""
    value = torch.tensor([dist.get_rank() + 1])
    dist.all_reduce(value, group=host_group())
    return value.item(), torch_dist.get_backend(host_group()), host_group() is host_group()


def test_the_host_group_is_gloo_over_all_processes():
    assert on_processes(2, sums_in_host_memory) == [(3, 'gloo', True)] * 2


def test_one_process_has_no_host_group():
    assert not dist.is_distributed() and host_group() is None


def test_one_process_is_left_alone():
    cfg = Config(dict(model=dict(type='CLIM')))
    prepare_launch(cfg, 'none')
    assert cfg.to_dict() == dict(model=dict(type='CLIM')) and not dist.is_distributed()


@pytest.fixture
def gpus(monkeypatch):
    """Make torch report a number of GPUs, in an environment without a launcher's variables."""
    for name in ('LOCAL_WORLD_SIZE', 'SLURM_NTASKS_PER_NODE'):
        monkeypatch.delenv(name, raising=False)

    def report(number):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: number > 0)
        monkeypatch.setattr(torch.cuda, 'device_count', lambda: number)

    return report


@pytest.mark.parametrize('launcher, variable', [('pytorch', 'LOCAL_WORLD_SIZE'), ('slurm', 'SLURM_NTASKS_PER_NODE')])
def test_more_processes_than_gpus_are_refused(gpus, monkeypatch, launcher, variable):
    gpus(2)
    monkeypatch.setenv(variable, '3')
    with pytest.raises(ConfigError, match='3 processes were started on a machine with 2 GPUs: .*CUDA_VISIBLE_DEVICES'):
        prepare_launch(Config(dict()), launcher)
    assert not dist.is_distributed()


@pytest.mark.parametrize('processes', [None, '1', '2'])
def test_with_gpus_the_framework_starts_nccl_itself(gpus, monkeypatch, processes):
    gpus(2)
    if processes is not None:
        monkeypatch.setenv('LOCAL_WORLD_SIZE', processes)
    cfg = Config(dict())
    prepare_launch(cfg, 'pytorch')
    assert cfg.to_dict() == {} and not dist.is_distributed()


def test_device_ids_are_left_out_on_the_cpu():
    (ids, ) = on_processes(1, wrapped_device_ids)
    assert ids is None


def wrapped_device_ids():
    """The devices that DDP was given."""
    return DeviceDDP(torch.nn.Linear(2, 1), device_ids=[0]).device_ids
