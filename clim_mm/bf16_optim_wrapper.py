"""Mixed precision that needs no GPU and no loss scale."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper

from clim_mm.errors import ConfigError
from clim_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """MMEngine's wrapper with bfloat16 autocast in the forward pass; weights, gradients and statistics stay float32.

    bfloat16 has float32's range, so that no loss scale is needed, and a state of ``OptimWrapper`` can be resumed with
    it and the other way round. MMEngine's ``AmpOptimWrapper`` scales the loss, and needs a GPU.
    """

    def __init__(self, **kwargs: Any) -> None:
        if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ConfigError(f'{torch.cuda.get_device_name()} does not compute in bfloat16: take --amp for float16, '
                              'or set optim_wrapper.type to "OptimWrapper".')
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Autocast, beside what accumulation of gradients needs."""
        with super().optim_context(model), torch.autocast(next(model.parameters()).device.type, torch.bfloat16):
            yield
