"""What is known before a training, and what in it looks wrong."""

from dataclasses import dataclass
from typing import Optional

from .forecast import Forecast
from .image_sample import ImageSample
from .machine import Machine
from .measurements import Measurements
from .settings import Settings


@dataclass(frozen=True)
class Facts:
    """All that is known; ``images`` is None if the dataset does not tell their paths."""

    settings: Settings
    images: Optional[ImageSample]
    measured: Measurements
    forecast: Forecast
    machine: Machine


@dataclass(frozen=True)
class Finding:
    """What looks wrong.

    Attributes:
        name: Of the check, for machines.
        sentence: What looks wrong, and the remedy.
    """

    name: str
    sentence: str
