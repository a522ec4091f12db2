"""Whether a backbone gives what is made of it: maps of features."""

from typing import Any, Optional

import torch
from torch import nn

from clim_mm.errors import ConfigError, on_one_line

_SIDES = (64, 224)  # of the images that are tried; some architectures do not take small ones


@torch.no_grad()
def check_feature_maps(backbone: nn.Module, neck: Optional[nn.Module] = None) -> None:
    """Give a backbone a black image, and look at what comes out. Weights, statistics and draws stay as they were.

    Args:
        backbone: Of (N, 3, H, W) images.
        neck: That takes its output.

    Raises:
        ConfigError: If its last output are no maps (N, C, h, w), or the neck cannot take them.
    """
    modes = {module: module.training for part in (backbone, neck) if part is not None for module in part.modules()}
    try:
        for module in modes:
            module.training = False
        output = _output(backbone)
        last = output[-1] if isinstance(output, (list, tuple)) and output else output
        if not isinstance(output, (list, tuple)) or not isinstance(last, torch.Tensor) or last.ndim != 4:
            raise ConfigError(
                f'model.backbone ({type(backbone).__name__}) gives {_said(output)}, but features are taken from maps: '
                'give one whose last output is a tensor (N, C, height, width), such as mmselfsup.ResNet, '
                'mmcls.ResNeXt, mmcls.RegNet or mmcls.SwinTransformer; mmcls.VisionTransformer is one with '
                'output_cls_token=False.')
        if neck is not None:
            _try_neck(neck, output, last)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _output(backbone: nn.Module) -> Any:
    first = next(backbone.parameters(), torch.empty(0))
    for side in _SIDES:
        try:
            return backbone(torch.zeros(1, 3, side, side, dtype=first.dtype, device=first.device))
        except Exception as error:  # whatever an architecture raises for a size that it does not take
            reason = error
    raise ConfigError(f'model.backbone ({type(backbone).__name__}) does not take images of {_SIDES[-1]} x {_SIDES[-1]} '
                      f'pixels and three channels ({type(reason).__name__}: {on_one_line(reason)}): correct its '
                      'settings.')


def _try_neck(neck: nn.Module, output: Any, last: torch.Tensor) -> None:
    try:
        neck(output)
    except Exception as error:
        raise ConfigError(f'model.neck ({type(neck).__name__}) does not take the {last.shape[1]} channels of the '
                          f'backbone\'s last output ({type(error).__name__}: {on_one_line(error)}): set '
                          f'model.neck.in_channels={last.shape[1]}, or another backbone.') from error


def _said(output: Any) -> str:
    """What came out, in a few words."""
    if isinstance(output, torch.Tensor):
        return f'a tensor {tuple(output.shape)}'
    if isinstance(output, (list, tuple)):
        return f'a {type(output).__name__} that ends in {_said(output[-1])}' if output else 'nothing'
    return f'a {type(output).__name__}'
