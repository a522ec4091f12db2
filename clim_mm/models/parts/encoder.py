"""From images to L2-normalised features: the encoder of queries, and that of keys, which follows it."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Optional, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import ExponentialMovingAverage

from clim_mm.errors import ConfigError, on_one_line

LAST = 'last'  # the level of an encoder with one neck


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
        maps, neck = self.maps(x), self[1]
        if not isinstance(neck, nn.ModuleDict):
            return {LAST: normalized(neck(maps)[0])}
        return {level: normalized(level_neck([level_map])[0])
                for (level, level_neck), level_map in zip(neck.items(), maps[-len(neck):], strict=True)}

    def maps(self, x: torch.Tensor) -> Any:
        """What the backbone gives for (N, 3, H, W) images."""
        return self[0](x.contiguous(memory_format=torch.channels_last) if self.channels_last else x)


class MomentumEncoder(ExponentialMovingAverage):
    """MMEngine's moving average, all parameters in one operation: ``theta_k <- m theta_k + (1 - m) theta_q`` [moco].

    The same values, bit for bit, without a kernel for each of hundreds of tensors, and without waiting for the device
    at each step. Buffers are the query encoder's, and ``momentum`` is ``1 - m``, as there.
    """

    _begun: Optional[bool] = None  # a step counter on the device would be waited for

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move towards ``model``, the query encoder; become its copy in the first step of all."""
        if self._begun is None:
            self._begun = bool(self.steps > 0)  # resumed
        source: dict[str, torch.Tensor] = dict(model.named_parameters())
        own = list(self.avg_parameters.values())
        theirs = [source[name] for name in self.avg_parameters]
        if self._begun:
            torch._foreach_lerp_(own, theirs, self.momentum)
        else:
            torch._foreach_copy_(own, theirs)
        if buffers := list(self.module.buffers()):
            torch._foreach_copy_(buffers, list(model.buffers()))
        self._begun = True
        self.steps += 1


class EmbedsFirstView:
    """Gives a model that has ``encoder(name)`` the features of a batch's first view."""

    encoder: Callable[[str], Encoder]
    data_preprocessor: Any

    def embed_batch(self, batch: dict, encoder: str = 'momentum', layer: str = 'embedding', amp: bool = False,
                    channels_last: bool = False) -> torch.Tensor:
        """Features of a batch as a DataLoader gives it, as by :func:`embed`; ``momentum`` [csml] or ``query``."""
        inputs, _ = self.data_preprocessor(batch)
        return embed(self.encoder(encoder), inputs[0], layer, amp, channels_last)


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
        encoder = Encoder(encoder[0], encoder[1], channels_last=True)
    with torch.autocast(x.device.type, torch.bfloat16) if amp else nullcontext():
        if layer == 'pooled':
            return normalized(F.adaptive_avg_pool2d(encoder.maps(x)[-1], 1).flatten(1)).float()
        return [*encoder(x).values()][-1].float()


def normalized(v: torch.Tensor) -> torch.Tensor:
    """Rows at length 1, at least in float32 also under autocast."""
    with torch.autocast(v.device.type, enabled=False):
        return F.normalize(at_least_float32(v), dim=1)


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """``x``, with half precision raised to float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


@torch.no_grad()
def features_dims(encoder: Encoder) -> set[int]:
    """The dimensions of an encoder's features, over its levels, by letting a copy encode a black image.

    Raises:
        ConfigError: If the neck does not take the backbone's maps.
    """
    try:
        features = copy.deepcopy(encoder).eval()(torch.zeros(1, 3, 224, 224))
    except Exception as error:  # whatever an architecture raises
        raise ConfigError(
            f'model.backbone ({type(encoder[0]).__name__}) and model.neck ({type(encoder[1]).__name__}) make no '
            f'features of an image ({type(error).__name__}: {on_one_line(error)}): give a backbone whose last output '
            'is a map (N, C, height, width), and a neck with in_channels=C.') from error
    return {found.shape[1] for found in features.values()}
