"""A network to be used: out of a pretraining's checkpoint, or out of a file that was exported from one."""

import os.path as osp
import re
from importlib import import_module
from typing import Any

import torch
from torch import nn

from clim_mm.checkpoints import read_checkpoint
from clim_mm.errors import CheckpointError
from clim_mm.host import ResNet

from .formats import FORMATS, WEIGHTS_FILE, Features, read_header
from .pretraining import read_pretraining, rebuilt

_PROGRAM = 'torch'  # the target whose files hold the computation, too


def read_network(path: str, device: str = 'cpu') -> tuple[nn.Module, dict[str, Any]]:
    """Read a checkpoint or an export as data only.

    Returns:
        What :class:`~clim_mm.export.formats.Features` is, on ``device``: from (N, 3, H, W) normalised images to the
        last stage's output and its mean over the positions, (N, C). And the header, as an export has it; of a
        checkpoint, what ``read_pretraining`` gives of it.
    """
    path = osp.expanduser(path)
    if not osp.exists(path):
        raise CheckpointError(f'{path} does not exist: give a checkpoint of a pretraining, or what export has written.')
    header = read_header(path)
    if header is None:
        backbone, header = read_pretraining(path)
        return Features(backbone).eval().to(device), header
    if header['target'] == _PROGRAM:
        program = torch.export.load(path)
        if device != 'cpu':
            program = import_module('torch.export.passes').move_to_device_pass(program, device)
        return program.module(), header
    backbone = _rebuilt(path, header) if header['target'] == 'safetensors' else _resnet(path, header)
    return Features(backbone).eval().to(device), header


def _rebuilt(path: str, header: dict[str, Any]) -> nn.Module:
    """The backbone that a file's header describes."""
    weights = import_module('safetensors.torch').load_file(path)
    return rebuilt(header['config']['model']['backbone'], weights, path)


def _resnet(path: str, header: dict[str, Any]) -> nn.Module:
    """MMSelfSup's own ResNet with the weights of another library's file."""
    backbone = ResNet(depth=int(re.sub(r'\D', '', header['architecture'])))
    if osp.isdir(path):
        held = import_module('safetensors.torch').load_file(osp.join(path, WEIGHTS_FILE))
    else:
        held = read_checkpoint(path)
        held = held.get('model') or held.get('state_dict') or held
    rename = FORMATS[header['target']].rename
    names = {rename(name): name for name in backbone.state_dict()}
    backbone.load_state_dict({names[name]: value for name, value in held.items()})
    return backbone
