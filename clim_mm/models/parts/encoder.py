"""A backbone with its necks: from images to L2-normalised features of named levels."""

from contextlib import nullcontext
from typing import Any, Union

import torch
import torch.nn as nn
import torch.nn.functional as F

from clim_mm.errors import ConfigError, on_one_line

LAST = 'last'  # the level of an encoder with one neck
_SIDES = (64, 224)  # of the images that are tried; some architectures do not take small ones


class Encoder(nn.Sequential):
    """Backbone and necks, one neck for each level.

    The weights have the names ``0.*`` and ``1.*``, as in MMSelfSup's momentum encoders.

    Args:
        backbone: From (N, 3, H, W) images to a list of maps, the last stage at its end.
        neck: From a list of one map to a list whose first entry is (N, C). Or a ``ModuleDict`` of such necks by the
            names of their levels, for as many of the backbone's last maps, in their order.
        channels_last: Give the backbone its images in ``torch.channels_last``.
    """

    def __init__(self, backbone: nn.Module, neck: Union[nn.Module, nn.ModuleDict], channels_last: bool = False) -> None:
        super().__init__(backbone, neck)
        self.channels_last = channels_last

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(N, C) features by level, L2-normalised, float32 or better also under autocast."""
        backbone, neck = self
        maps = backbone(self._formatted(x))
        if not isinstance(neck, nn.ModuleDict):
            return {LAST: normalized(neck(maps)[0])}
        return {level: normalized(level_neck([level_map])[0])
                for (level, level_neck), level_map in zip(neck.items(), maps[-len(neck):], strict=True)}

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """The backbone's last map, average-pooled and L2-normalised: (N, d)."""
        return normalized(F.adaptive_avg_pool2d(self[0](self._formatted(x))[-1], 1).flatten(1))

    def _formatted(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x


@torch.no_grad()
def embed(encoder: Encoder, x: torch.Tensor, layer: str = 'embedding', amp: bool = False,
          channels_last: bool = False) -> torch.Tensor:
    """Features of images for the choice of positives, in the mode (train or eval) that the encoder is in.

    Args:
        encoder: Whose features.
        x: (N, 3, H, W) preprocessed images.
        layer: ``embedding``, the output of the last level's neck [paper 3.2.1], or ``pooled``, the backbone's
            average-pooled output [csml].
        amp: Compute in bfloat16 where autocast does.
        channels_last: Give the backbone its images in ``torch.channels_last``, as the encoder's own option does.

    Returns:
        (N, d) float32, L2-normalised.
    """
    if channels_last:
        backbone, neck = encoder
        encoder = Encoder(backbone, neck, channels_last=True)
    with torch.autocast(x.device.type, torch.bfloat16) if amp else nullcontext():
        features = encoder.pooled(x) if layer == 'pooled' else [*encoder(x).values()][-1]
    return features.float()


def normalized(v: torch.Tensor) -> torch.Tensor:
    """Rows at length 1, at least in float32 also under autocast."""
    with torch.autocast(v.device.type, enabled=False):
        return F.normalize(at_least_float32(v), dim=1)


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """``x``, with half precision raised to float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


@torch.no_grad()
def check_feature_maps(backbone: nn.Module, neck: Any = None) -> None:
    """Give a backbone a black image, and look at what comes out. Weights, statistics and draws stay as they were.

    Args:
        backbone: Of (N, 3, H, W) images.
        neck: That takes its output; None for none.

    Raises:
        ConfigError: If its last output is no map (N, C, h, w), or the neck cannot take it.
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
