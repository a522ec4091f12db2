"""Samples a second of whole training steps, and the share of what the device's matrix products reach."""

import gc
import time
from collections.abc import Iterator
from typing import Optional

import torch
from devices import clock_of
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode
from training_steps import Contestants, Step, resolutions_of

from .rows import Row, figure, left_out
from .setting import Setting

_WAYS = {'float32': (False, False), 'bf16': (True, False), 'bf16 + channels_last': (True, True)}
_SECONDS = 3.0  # of the steps that are timed
_MOST, _FEWEST = 50, 5


def check_speed(setting: Setting) -> Iterator[Row]:
    """CLIM and MMSelfSup's MoCo v2, as step.py has them, in three ways and batches."""
    init_default_scope('clim_mm')
    torch.backends.cudnn.benchmark = True  # as the configs have it
    cfg = Config.fromfile(setting.config('clim_r18_1xb32-20e_digits.py', 'clim_r50_16xb32-200e_in1k.py'))
    resolutions, queue_len = resolutions_of(cfg), 256 if setting.small else 65536
    device, peaks = setting.torch_device, {}
    for amp, name in [(False, 'float32'), (True, 'bf16')]:
        peaks[amp] = peak_flops(device, amp, 256 if setting.small else 8192)
        yield figure(f'matrix product, {name}', peaks[amp] / 1e12, 'TFLOP/s', '' if amp else 'in TF32 on GPUs with it')
    for way, (amp, channels_last) in _WAYS.items():
        for batch in (16, ) if setting.small else (32, 128, 256):
            made = Contestants(cfg, batch, queue_len, device, amp, channels_last)
            for name in ('CLIM', 'MoCo v2'):
                step: Optional[Step] = None
                try:
                    step = made.clim_step(resolutions) if name == 'CLIM' else made.moco_step(resolutions[0])
                    yield row_of(f'{name}, {way}, batch {batch}', step, batch, device, peaks[amp], setting.small)
                except RuntimeError as error:
                    if not isinstance(error, torch.OutOfMemoryError) and 'ALLOC_FAILED' not in str(error):  # cuDNN's
                        raise
                    yield left_out(f'{name}, {way}, batch {batch}', 'it does not fit into the memory')
                del step
                gc.collect()
                torch.cuda.empty_cache()


def row_of(name: str, step: Step, batch: int, device: torch.device, peak: float, small: bool) -> Row:
    """The rate of a step; its first three are not timed."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    with FlopCounterMode(display=False) as counter:
        step()
    for _ in range(0 if small else 2):  # cuDNN chooses its ways, and the optimizer's state is made
        step()
    clock = clock_of(device)
    begun, done = clock(), 0
    while done < (1 if small else _FEWEST) or (not small and done < _MOST and time.perf_counter() - begun < _SECONDS):
        step()
        done += 1
    seconds = (clock() - begun) / done
    memory = f'; {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB' if device.type == 'cuda' else ''
    share = counter.get_total_flops() / seconds / peak
    return figure(name, batch / seconds, 'samples/s', f'{share:.1%} of the product\'s rate{memory}')


def peak_flops(device: torch.device, amp: bool, side: int) -> float:
    """Floating-point operations a second of a large product of matrices; float32 in TF32, as convolutions are."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16 if amp else torch.float32)
                      for _ in range(2))
        clock = clock_of(device)
        one @ other  # starts the library
        begun = clock()
        for _ in range(20):
            one @ other
        return 20 * 2 * side**3 / (clock() - begun)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
