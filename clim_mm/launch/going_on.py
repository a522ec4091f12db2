"""How a training that something has ended goes on."""

import os.path as osp
from collections.abc import Iterable
from types import FrameType

from mmengine.runner import Runner

from clim_mm.checkpoints.resume_point import checkpoints_of


def how_to_go_on(frames: Iterable[FrameType]) -> str:
    """What to do with a training that was ended in ``frames``, to be put behind a sentence; empty if none had begun."""
    runner = next((frame.f_locals['self'] for frame in frames if frame.f_code is Runner.train.__code__), None)
    if runner is None:
        return ''
    saved = runner.message_hub.get_info('last_ckpt', None)
    started_from = runner.cfg.get('load_from') if runner.cfg.get('resume') else None
    if last := next((path for path in (saved, started_from) if path and osp.isfile(path)), None):
        return f' {last} is whole: the same command with --resume goes on from it.'
    if started_from or checkpoints_of(runner.cfg):  # it is nothing local, or another was about to be written
        return ' The same command with --resume goes on from the last checkpoint.'
    return ' No checkpoint was written yet, so that the training begins anew.'
