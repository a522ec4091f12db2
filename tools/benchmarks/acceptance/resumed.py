"""Whether a deterministic training that is killed and resumed ends as one that nothing happened to."""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.registry import HOOKS

from .in_turn import last_lines, print_into
from .rows import Row, at_most
from .setting import TOOLS, Setting, import_tools

_EPOCHS = 2
_NEVER = -1


@HOOKS.register_module()
class KilledOnce(Hook):
    """Kills its process after the second iteration of an epoch; not again in a work dir where it has done so.

    Args:
        epoch: Counted from 0; below 0 for never.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def after_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
        """Kill it."""
        done = Path(runner.work_dir, 'killed')
        if runner.epoch == self.epoch and batch_idx == 1 and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def config_text(setting: Setting) -> str:
    """The digits, each epoch with a refresh and a checkpoint."""
    workers = 0 if setting.small else 2
    return f"""
_base_ = {setting.config('clim_r18_1xb32-20e_digits.py', 'clim_r18_1xb32-20e_digits.py')!r}
custom_imports = dict(imports=['clim_mm', 'acceptance.resumed'])
train_dataloader = dict(num_workers={workers}, persistent_workers={workers > 0}, dataset=dict(dataset=dict(
    data_root={str(Path(setting.folder, 'digits'))!r}, indices={64 if setting.small else None})))
extract = dict(num_workers={workers})
custom_hooks = [dict(type='KilledOnce', epoch={_NEVER})]
train_cfg = dict(max_epochs={_EPOCHS})
default_hooks = dict(checkpoint=dict(interval=1), preflight=dict(seconds=0), neighbors=dict(interval=1))
randomness = dict(seed=0, deterministic=True)
"""


def check_resumed(setting: Setting) -> Iterator[Row]:
    """By ``tools/train.py``, in processes of which one is really killed; bit by bit."""
    import_tools()
    from prepare_digits import write_digits
    write_digits(str(Path(setting.folder, 'digits')))
    Path(setting.folder, 'small_training.py').write_text(config_text(setting))
    whole, killed = Path(setting.folder, 'whole'), Path(setting.folder, 'killed')
    last = _EPOCHS - 1
    for folder, epoch, expected in [(whole, _NEVER, 0), (killed, last, -signal.SIGKILL), (killed, last, 0)]:
        ended, log = _trained(setting, folder, epoch), folder.with_suffix('.out')
        if ended != expected:
            yield Row('trainings end as they are to', ok=False, note=f'exit code {ended}, {last_lines(log)}')
            return
    names = differing(*(torch.load(folder / f'epoch_{_EPOCHS}.pth', map_location='cpu', weights_only=False)
                        for folder in (whole, killed)))
    yield at_most('tensors of a killed and resumed run that differ', len(names), 0, note=', '.join(names[:5]))


def differing(one: dict, other: dict) -> list[str]:
    """Paths of what is not the same, bit by bit, in what two checkpoints hold of training."""
    parts = [{part: checkpoint[part] for part in ('state_dict', 'optimizer', 'param_schedulers', 'neighbors')}
             for checkpoint in (one, other)]
    return sorted(_differing('', *parts))


def _differing(path: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differing(f'{path}.{key}', one.get(key), other.get(key))
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from _differing(f'{path}.{place}', *pair)
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.dtype != other.dtype or not torch.equal(one, other):
            yield path
    elif type(one) is not type(other) or one != other:
        yield path


def _trained(setting: Setting, work_dir: Path, killed_in: int) -> Optional[int]:
    """The exit code of a training, from the latest checkpoint on."""
    process = multiprocessing.get_context(setting.start_method).Process(
        target=_train, args=(setting, str(work_dir), killed_in))
    process.start()
    process.join()
    return process.exitcode


def _train(setting: Setting, work_dir: str, killed_in: int) -> None:
    if not setting.on_gpu:
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    print_into(f'{work_dir}.out')
    os.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'  # without it cuBLAS is not deterministic
    sys.argv = ['train.py', str(Path(setting.folder, 'small_training.py')), '--work-dir', work_dir, '--resume',
                '--cfg-options', f'custom_hooks.0.epoch={killed_in}']
    runpy.run_path(str(TOOLS / 'train.py'), run_name='__main__')
