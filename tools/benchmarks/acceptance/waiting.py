"""Where a training step waits for the GPU."""

import warnings
from collections import Counter
from collections.abc import Iterator

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from training_steps import Contestants, Step, resolutions_of

from .rows import Row, figure, left_out
from .setting import Setting


def check_waiting(setting: Setting) -> Iterator[Row]:
    """Of CLIM's step and of MoCo v2's, on a batch that is already there."""
    if not setting.on_gpu:
        yield left_out('waiting points of a step', 'a CPU is not waited for')
        return
    init_default_scope('clim_mm')
    cfg = Config.fromfile(setting.config('clim_r18_1xb32-20e_digits.py', 'clim_r50_16xb32-200e_in1k.py'))
    made = Contestants(cfg, 32, 4096, setting.torch_device, amp=True, channels_last=True)
    resolutions = resolutions_of(cfg)
    for name, step in [('CLIM', made.clim_step(resolutions)), ('MoCo v2', made.moco_step(resolutions[0]))]:
        found = waiting_points(step)
        places = ', '.join(f'{place}{f" x {times}" if times > 1 else ""}' for place, times in found.most_common(8))
        yield figure(f'waiting points of {name}\'s step', sum(found.values()), note=places)


def waiting_points(step: Step) -> Counter:
    """Files and lines in whose call the GPU is waited for, and how often, in a step after the first."""
    step()
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    return Counter(f'{"/".join(warning.filename.split("/")[-2:])}:{warning.lineno}' for warning in caught
                   if 'synchroniz' in str(warning.message))
