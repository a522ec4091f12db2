"""Real processes that talk by gloo, for tests of what several processes do together."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as torch_dist

# A server that has imported everything once forks the processes: no threads of pytest's are in them.
CONTEXT = multiprocessing.get_context('forkserver')
PRELOADED = ['clim_mm.datasets', 'clim_mm.hooks.all_hooks', 'clim_mm.evaluation', 'clim_mm.models',
             'clim_mm.launch.commands', 'clim_mm.preflight', 'mmselfsup.datasets', 'faiss']
CONTEXT.set_forkserver_preload(PRELOADED)


def on_processes(world_size: int, function: Callable, *args: Any, init: bool = True) -> list:
    """Call ``function(*args)`` on new processes that have torchrun's environment variables.

    Args:
        world_size: How many.
        function: At the top level of its module.
        *args: What it gets, to be pickled.
        init: Also join the processes to one gloo group beforehand.

    Returns:
        What the function gave, by rank. The first process's exception is raised here.
    """
    port = free_port()
    with ProcessPoolExecutor(world_size, mp_context=CONTEXT) as pool:
        calls = [pool.submit(_call, rank, world_size, port, init, function, args) for rank in range(world_size)]
        return [call.result(timeout=120) for call in calls]


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def _call(rank: int, world_size: int, port: int, init: bool, function: Callable, args: tuple) -> Any:
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_WORLD_SIZE=str(world_size),
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES='')
    if init:
        torch_dist.init_process_group('gloo', timeout=timedelta(seconds=60))
    result = function(*args)
    if torch_dist.is_initialized():
        torch_dist.barrier()  # nobody leaves while another still needs the connection
        torch_dist.destroy_process_group()
    return result
