"""A backbone as a program of ``torch.export``: weights and computation in one file, which torch alone runs."""

import io
import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Optional

import torch
from torch import nn

from clim_mm.checkpoints.backbone import KEY
from clim_mm.errors import ConfigError, on_one_line

_SIDE = 64  # of the images that the computation is recorded with, in pixels; the program takes others


# From (N, 3, H, W) images to (N, C, h, w), the output of the last stage, and (N, C), its mean over the places.
Network = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def network_of(backbone: nn.Module) -> Network:
    """A backbone of the framework, with the pooling that every evaluation here uses."""

    def network(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        last = backbone(images)[-1]
        return last, last.mean(dim=(2, 3))

    return network


class _Features(nn.Module):
    """What the program gives: the output of the last stage, and its mean over the places."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return network_of(self.backbone)(images)


def program_file(backbone: nn.Module, header: Mapping[str, Any]) -> dict[str, bytes]:
    """A file for ``torch.export.load``, which takes images of any number and size.

    Raises:
        ConfigError: If the computation depends on the values of the images or on their size.
    """
    any_size = dict(images={place: torch.export.Dim.DYNAMIC for place in (0, 2, 3)})
    try:
        program = torch.export.export(
            _Features(backbone).eval(), (torch.zeros(2, 3, _SIDE, _SIDE), ), dynamic_shapes=any_size)
    except Exception as error:  # torch has no class for what it cannot record
        raise ConfigError(f'The computation of a {type(backbone).__name__} cannot be recorded for images of any size '
                          f'({on_one_line(error)}).') from error
    for node in program.graph.nodes:
        node.meta.pop('stack_trace', None)  # paths of this machine
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={KEY: json.dumps(header)})
    return {'': file.getvalue()}


def load_program(path: str, depth: Optional[int] = None) -> Network:
    """The program in such a file, of whatever depth."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # torch's, of how it reads its own file
        return torch.export.load(path).module()
