"""Two real processes on the CPU: gradients are averaged; and launches that cannot work are refused."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import torch
import torch.distributed as torch_dist
from gloo import free_port, on_processes
from mmengine import dist
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS
from processes import started

from clim_mm.distributed import DeviceDDP, host_group, prepare_launch, watch_peers
from clim_mm.distributed.peer_watch import PeerLostError, PeerWatch
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


@pytest.mark.e2e
@pytest.mark.usefixtures('one_torch_thread')
def test_gradients_are_averaged_over_two_processes():
    results = on_processes(2, gradient_on_this_process, init=False)
    for rank, (backend, info, name, weight, gradient, wrapper_cfg) in enumerate(results):
        assert backend == 'gloo' and info == (rank, 2) and name == 'DeviceDDP'
        assert gradient == INPUTS.mean(dim=0, keepdim=True).tolist()
        assert weight == results[0][3]
        assert wrapper_cfg == dict(type='clim_mm.DeviceDDP', broadcast_buffers=False, find_unused_parameters=False)


def rank_under(launcher, names):
    """Launch as srun or mpirun does: RANK and the like are not there, or someone else's."""
    rank, size = (os.environ.pop(name) for name in ('RANK', 'WORLD_SIZE'))
    os.environ['LOCAL_RANK'] = '7'
    os.environ.update(zip(names, (rank, rank, size), strict=True))
    cfg = Config(dict(find_unused_parameters=True))
    with watch_peers(launcher) as watch:
        prepare_launch(cfg, launcher)  # meets at the same port as the watch
        total = torch.tensor([10.0**dist.get_rank()])
        torch_dist.all_reduce(total)
    variables = [os.environ[name] for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')]
    return variables, total.item(), cfg.model_wrapper_cfg.find_unused_parameters, type(watch)


@pytest.mark.e2e
@pytest.mark.parametrize(('launcher', 'names'), [
    ('pytorch', ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')),
    ('slurm', ('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS')),
    ('mpi', ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_SIZE')),
])
def test_the_launchers_variables_are_taken_and_the_processes_watched(launcher, names):
    results = on_processes(2, rank_under, launcher, names, init=False)
    assert results == [(['0', '0', '2'], 11.0, True, PeerWatch), (['1', '1', '2'], 11.0, True, PeerWatch)]


@pytest.fixture
def torchrun(monkeypatch):
    """The variables of one process of two, of which the other never comes; or of other values."""
    for name, value in dict(RANK='1', LOCAL_RANK='0', WORLD_SIZE='2', MASTER_ADDR='localhost',
                            MASTER_PORT=str(free_port())).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv('CLIM_PEER_PATIENCE', raising=False)
    return monkeypatch


def test_each_process_keeps_its_own_batch_statistics(torchrun):
    torchrun.setenv('RANK', '0')
    torchrun.setenv('WORLD_SIZE', '1')
    torchrun.setattr(torch.cuda, 'is_available', lambda: False)
    torchrun.setattr('clim_mm.distributed.process_group.settle_before_fork', lambda: None)  # would last
    cfg = Config(dict(model=dict()))
    prepare_launch(cfg, 'pytorch')
    torch_dist.destroy_process_group()
    assert not cfg.model_wrapper_cfg.broadcast_buffers


def test_one_process_is_not_watched(torchrun):
    with watch_peers('none') as watch:
        assert watch is None
    torchrun.setenv('WORLD_SIZE', '1')
    with watch_peers('pytorch') as watch:
        assert watch is None


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_variables_that_are_not_there_are_named(torchrun, launcher):
    for name in ('RANK', 'MASTER_PORT'):
        torchrun.delenv(name)
    with pytest.raises(ConfigError, match=f"Launcher '{launcher}' gives no RANK, MASTER_PORT: start with tools/"):
        watch_peers(launcher)


@pytest.mark.parametrize('patience', ['', '0', '-3', 'nan', 'long'])
def test_a_patience_that_is_no_time_is_refused(torchrun, patience):
    torchrun.setenv('CLIM_PEER_PATIENCE', patience)
    with pytest.raises(ConfigError, match='CLIM_PEER_PATIENCE must be a number above 0'):
        watch_peers('pytorch')


@pytest.mark.e2e
@pytest.mark.parametrize(('by_torchrun', 'timeout'), [('True', '_STORE_TIMEOUT'), ('', '_START_TIMEOUT')])
def test_a_meeting_place_that_is_not_there_is_named(torchrun, by_torchrun, timeout):
    torchrun.setenv('TORCHELASTIC_USE_AGENT_STORE', by_torchrun)
    torchrun.setattr(f'clim_mm.distributed.process_group.{timeout}', timedelta(seconds=1))
    with pytest.raises(PeerLostError, match=f'processes met at localhost, port {os.environ["MASTER_PORT"]}: see the'):
        watch_peers('pytorch')


def test_a_port_that_is_taken_is_named(torchrun):
    torchrun.setenv('RANK', '0')
    with socket.create_server(('', 0)) as taken:
        torchrun.setenv('MASTER_PORT', port := str(taken.getsockname()[1]))
        with pytest.raises(PeerLostError, match=f'port {port}: .* if this one is taken .*EADDRINUSE'):
            watch_peers('pytorch')


def starts_alone_where_the_port_is_taken(launcher):
    with socket.create_server(('', int(os.environ['MASTER_PORT']))), watch_peers(launcher):
        prepare_launch(Config(dict()), launcher)
        return torch_dist.get_world_size()


@pytest.mark.e2e
def test_one_process_needs_no_certain_port():
    assert on_processes(1, starts_alone_where_the_port_is_taken, 'slurm', init=False) == [1]


def fall_silent(rank, port):
    """A training of which one process stops, where patience is short."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='localhost',
                      MASTER_PORT=str(port), CLIM_PEER_PATIENCE='0.9')
    with watch_peers('pytorch'):
        time.sleep(1)  # both have come
        if rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)


@pytest.mark.e2e
def test_the_patience_is_taken_from_the_environment(tmp_path):
    outputs, port = [tmp_path / 'output.0', tmp_path / 'output.1'], free_port()
    with started([(fall_silent, (rank, port)) for rank in (0, 1)], outputs) as processes:
        processes[0].join(30)
        assert processes[0].exitcode == 1 and processes[1].exitcode is None
    assert 'has been silent for 1 s' in outputs[0].read_text()


def sums_in_host_memory():
    """Sum over the host group, and tell whether it is one group throughout."""
    value = torch.tensor([dist.get_rank() + 1])
    dist.all_reduce(value, group=host_group())
    return value.item(), torch_dist.get_backend(host_group()), host_group() is host_group()


@pytest.mark.e2e
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


@pytest.mark.e2e
def test_device_ids_are_left_out_on_the_cpu():
    (ids, ) = on_processes(1, wrapped_device_ids)
    assert ids is None


def wrapped_device_ids():
    """The devices that DDP was given."""
    return DeviceDDP(torch.nn.Linear(2, 1), device_ids=[0]).device_ids


FORKS = """
import os, sys, threading
from clim_mm.distributed.process_group import settle_before_fork

wake, awake = threading.Event(), threading.Event()
threading.Thread(target=lambda: (wake.wait(), awake.set())).start()
{}
sys.setswitchinterval(60)  # the thread runs when this one waits, not before
wake.set()
child = os.fork()
if child == 0:
    os._exit(0 if awake.is_set() else 7)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
NEEDED = sys.version_info < (3, 12)


@pytest.mark.e2e
@pytest.mark.parametrize('settle, status', [('', 7), ('settle_before_fork()', 0 if NEEDED else 7)])
def test_threads_run_before_a_fork(settle, status):
    assert subprocess.run([sys.executable, '-c', FORKS.format(settle)], timeout=60, check=False).returncode == status
