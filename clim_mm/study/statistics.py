"""Means over seeds, how sure they are, and differences between trainings of the same seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's quantiles; scipy.stats has the same, and takes a second to import


@dataclass(frozen=True)
class Estimate:
    """A mean of ``number`` values, and half the width of its 95 % confidence interval (Student's t).

    ``half_width`` is NaN for a single value.
    """

    mean: float
    half_width: float
    number: int

    @property
    def is_noise(self) -> bool:
        """Of a difference: whether 0 is in the interval, or there is none."""
        return not abs(self.mean) > self.half_width


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of independent values; NaN of no values."""
    number = len(values)
    if number == 0:
        return Estimate(math.nan, math.nan, 0)
    mean = float(np.mean(values))
    if number == 1:
        return Estimate(mean, math.nan, 1)
    standard_error = float(np.std(values, ddof=1)) / math.sqrt(number)
    return Estimate(mean, float(stdtrit(number - 1, 0.975)) * standard_error, number)


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate:
    """Mean and 95 % interval of the differences between trainings of the same seed.

    Args:
        values, baseline: A figure by seed. Seeds that only one of them has do not count.
    """
    return estimate([values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())])
