"""Distributed training on machines with GPUs, where MMEngine starts NCCL, and without, where gloo is started here."""

import math
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import lru_cache
from typing import Any, Optional

import torch
import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import Runner

from clim_mm.checks import check_number
from clim_mm.errors import ConfigError, on_one_line
from clim_mm.registry import MODEL_WRAPPERS

from .peer_watch import PeerLostError, PeerWatch

# One rank may cluster for hours while the others wait; a process that is gone is PeerWatch's to notice.
_HOST_TIMEOUT = timedelta(days=1)
# Machines of a cluster may start minutes apart, and read the same packages over the network then.
_START_TIMEOUT = timedelta(minutes=10)
# But torchrun's store is there before the processes are that it starts.
_STORE_TIMEOUT = timedelta(seconds=45)
# What torch reads from the environment, and what other launchers than torchrun call it.
_VARIABLES = {
    'slurm': dict(RANK='SLURM_PROCID', LOCAL_RANK='SLURM_LOCALID', WORLD_SIZE='SLURM_NTASKS'),
    'mpi': dict(RANK='OMPI_COMM_WORLD_RANK', LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK',
                WORLD_SIZE='OMPI_COMM_WORLD_SIZE', LOCAL_WORLD_SIZE='OMPI_COMM_WORLD_LOCAL_SIZE'),
}


@MODEL_WRAPPERS.register_module()
class DeviceDDP(MMDistributedDataParallel):
    """MMEngine's DDP on the device where the module is: one GPU, or the CPU, where ``device_ids`` are left out."""

    def __init__(self, module: torch.nn.Module, device_ids: Optional[list] = None, **kwargs) -> None:
        on_cpu = next(module.parameters()).device.type == 'cpu'
        super().__init__(module, device_ids=None if on_cpu else device_ids, **kwargs)


def unwrapped(runner: Runner) -> Any:
    """The Runner's model without the wrapper of distributed training."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def watch_peers(launcher: str) -> AbstractContextManager:
    """A :class:`PeerWatch`, to be entered; a context that does nothing for a single process.

    The environment variable ``CLIM_PEER_PATIENCE`` gives the seconds of silence after which a process counts as gone.

    Args:
        launcher: ``none``, ``pytorch`` (torchrun), ``slurm`` or ``mpi``.
    """
    if launcher == 'none':
        return nullcontext()
    _set_variables(launcher)
    by_torchrun = os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == str(True)
    if int(os.environ['WORLD_SIZE']) == 1:
        if not by_torchrun:
            os.environ['MASTER_PORT'] = '0'  # any that is free: nobody is to be met
        return nullcontext()
    patience = seconds_from('CLIM_PEER_PATIENCE', 40.0)  # [ours]
    try:
        timeout = _STORE_TIMEOUT if by_torchrun else _START_TIMEOUT
        store, rank, world_size = next(torch_dist.rendezvous('env://', timeout=timeout))
        store.set_timeout(_START_TIMEOUT)
    except torch_dist.DistError as error:
        raise PeerLostError(
            f'Not all of {os.environ["WORLD_SIZE"]} processes met at {os.environ["MASTER_ADDR"]}, port '
            f'{os.environ["MASTER_PORT"]}: see the output on every machine, and start again, with another PORT '
            f'(MASTER_PORT) if this one is taken ({on_one_line(error)}).') from error
    attempt = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')  # torchrun keeps its store when it starts anew
    return PeerWatch(torch_dist.PrefixStore(attempt, store), rank, world_size, serves=rank == 0 and not by_torchrun,
                     patience=patience, start_timeout=_START_TIMEOUT.total_seconds())


def prepare_launch(cfg: Config, launcher: str) -> None:
    """Make ``cfg`` and this process ready for a Runner of several processes. Does nothing for one.

    Without GPUs MMEngine would fail, but it leaves alone a process group that is there already.

    Args:
        cfg: Without GPUs its model wrapper is set to :class:`DeviceDDP`.
        launcher: As for :func:`watch_peers`.
    """
    if launcher == 'none':
        return
    settle_before_fork()
    if torch.cuda.is_available():
        processes = int(os.environ.get('LOCAL_WORLD_SIZE', os.environ.get('SLURM_NTASKS_PER_NODE', 1)))
        if processes > torch.cuda.device_count():
            raise ConfigError(f'{processes} processes were started on a machine with {torch.cuda.device_count()} GPUs: '
                              'start at most one for each GPU, or hide the GPUs with CUDA_VISIBLE_DEVICES="" to train '
                              'on the CPU.')
        return
    _set_variables(launcher)
    if not is_distributed():
        torch_dist.init_process_group(backend='gloo')
    cfg.model_wrapper_cfg = dict(
        type='clim_mm.DeviceDDP',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))


def _set_variables(launcher: str) -> None:
    """Tell torch what another launcher than torchrun says; MASTER_ADDR and MASTER_PORT come from the command."""
    for name, source in _VARIABLES.get(launcher, {}).items():
        if source in os.environ:
            os.environ[name] = os.environ[source]
    missing = [name for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
               if name not in os.environ]
    if missing:
        raise ConfigError(f'Launcher {launcher!r} gives no {", ".join(missing)}: start with tools/dist_train.sh or '
                          'tools/slurm_train.sh, or set them in the environment of each process.')


def seconds_from(variable: str, default: float) -> float:
    """A time from the environment, in seconds above 0."""
    try:
        seconds = float(os.environ.get(variable, default))
    except ValueError:
        seconds = math.nan
    check_number(variable, seconds, above=0)
    return seconds


@lru_cache(maxsize=1)
def host_group() -> Optional[torch_dist.ProcessGroup]:
    """A gloo group over all processes, for what lies in host memory; None in one process.

    NCCL would give up waiting for the clustering after minutes. All processes call this together the first time.
    """
    return torch_dist.new_group(backend='gloo', timeout=_HOST_TIMEOUT) if is_distributed() else None


@lru_cache(maxsize=1)
def settle_before_fork() -> None:
    """Pause before each fork of this process, from now on, so that no DataLoader worker hangs as it is forked.

    Before Python 3.12 a process forked while a thread of gloo holds a lock of the interpreter, as it does for moments
    after a collective, may wait for that lock for ever (python/cpython#112275). A pause makes that unlikely.
    """
    if sys.version_info < (3, 12):
        os.register_at_fork(before=lambda: time.sleep(0.05))  # a thread needs microseconds, when busy milliseconds
