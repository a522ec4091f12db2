"""What the checks run on, and at which size."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from .rows import Row

TOOLS = Path(__file__).parents[2]


@dataclass(frozen=True)
class Setting:
    """For all checks.

    Attributes:
        device: ``cuda`` or ``cpu``.
        small: Sizes of seconds on a CPU, to try the checks themselves.
        folder: For what the checks write.
    """

    device: str
    small: bool
    folder: str

    @property
    def torch_device(self) -> torch.device:
        """The device, for torch."""
        return torch.device(self.device)

    @property
    def on_gpu(self) -> bool:
        """Whether it is one."""
        return self.torch_device.type == 'cuda'

    @property
    def start_method(self) -> str:
        """Of processes: one that was forked cannot use a GPU that its parent has looked at, and imports do look."""
        return 'spawn' if self.on_gpu else 'fork'

    def config(self, small: str, full: str) -> str:
        """The path of a config below ``configs/clim``, by the size."""
        return str(TOOLS.parent / 'configs' / 'clim' / (small if self.small else full))


Check = Callable[[Setting], Iterator[Row]]


def import_tools() -> None:
    """Let the programs in ``tools/`` be imported."""
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
