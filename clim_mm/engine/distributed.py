"""Distributed training on machines with GPUs and without.

MMEngine initialises NCCL and pins each process to a GPU. Without one it fails, but it leaves a process group
alone that is there already: here gloo is started first, and a wrapper takes no device.
"""

import os
from datetime import timedelta
from functools import lru_cache
from typing import Optional

import torch
import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.model import MMDistributedDataParallel

from clim_mm.errors import ConfigError
from clim_mm.registry import MODEL_WRAPPERS

# One rank may cluster for hours while the others wait; a process that dies is torchrun's to notice.
_HOST_TIMEOUT = timedelta(days=1)


@MODEL_WRAPPERS.register_module()
class DeviceDDP(MMDistributedDataParallel):
    """MMEngine's DDP on the device where the module is: one GPU, or the CPU.

    Args:
        module: The model.
        device_ids: As MMEngine passes it; left out where the module is on the CPU.
        **kwargs: As for ``MMDistributedDataParallel``.
    """

    def __init__(self, module: torch.nn.Module, device_ids: Optional[list] = None, **kwargs) -> None:
        on_cpu = next(module.parameters()).device.type == 'cpu'
        super().__init__(module, device_ids=None if on_cpu else device_ids, **kwargs)


def prepare_launch(cfg: Config, launcher: str) -> None:
    """Make ``cfg`` and this process ready for a Runner of several processes. Does nothing for one.

    Args:
        cfg: The config; without GPUs its model wrapper is set to :class:`DeviceDDP`.
        launcher: ``none``, ``pytorch`` (torchrun), ``slurm`` or ``mpi``.

    Raises:
        ConfigError: If this machine has fewer GPUs than processes.
    """
    if launcher == 'none':
        return
    if torch.cuda.is_available():
        processes = int(os.environ.get('LOCAL_WORLD_SIZE', os.environ.get('SLURM_NTASKS_PER_NODE', 1)))
        if processes > torch.cuda.device_count():
            raise ConfigError(f'{processes} processes were started on a machine with {torch.cuda.device_count()} GPUs: '
                              'start at most one for each GPU, or hide the GPUs with CUDA_VISIBLE_DEVICES="" to train '
                              'on the CPU.')
        return
    if launcher == 'slurm':
        _set_rank_from_slurm()
    if not is_distributed():
        torch_dist.init_process_group(backend='gloo')
    cfg.model_wrapper_cfg = dict(
        type='clim_mm.DeviceDDP',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))


def _set_rank_from_slurm() -> None:
    """Tell torch what srun says; MASTER_ADDR and MASTER_PORT come from tools/slurm_train.sh."""
    for name, slurm_name in [('RANK', 'SLURM_PROCID'), ('LOCAL_RANK', 'SLURM_LOCALID'), ('WORLD_SIZE', 'SLURM_NTASKS')]:
        os.environ[name] = os.environ[slurm_name]


@lru_cache(maxsize=1)
def host_group() -> Optional[torch_dist.ProcessGroup]:
    """A gloo group over all processes, for what lies in host memory; None in one process.

    NCCL would need the tables on a GPU, and would give up waiting for the clustering after minutes. All
    processes have to call this together the first time.
    """
    return torch_dist.new_group(backend='gloo', timeout=_HOST_TIMEOUT) if is_distributed() else None
