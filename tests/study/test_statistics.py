"""Means, intervals and paired differences, by hand."""

import math

import numpy as np
import pytest

from clim_mm.study import estimate, paired_difference


def test_an_interval_by_hand():
    # 1, 2, 4, 5: mean 3, standard deviation sqrt(10 / 3), t of 3 degrees of freedom 3.1824.
    found = estimate([1.0, 2.0, 4.0, 5.0])
    assert (found.mean, found.number) == (3.0, 4)
    assert found.half_width == pytest.approx(3.18245 * math.sqrt(10 / 3) / 2, abs=1e-4)


def test_the_interval_holds_the_mean_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    held = [abs(found.mean - 7) <= found.half_width
            for found in (estimate(rng.normal(7, 2, 5)) for _ in range(4000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_one_value_and_none():
    assert estimate([2.5]).mean == 2.5 and math.isnan(estimate([2.5]).half_width)
    assert math.isnan(estimate([]).mean) and estimate([]).number == 0


def test_differences_are_between_the_same_seeds():
    found = paired_difference({0: 1.0, 1: 12.0, 2: 23.0, 7: 99.0}, {2: 20.0, 1: 10.0, 0: 0.0, 5: -50.0})
    assert (found.mean, found.number) == (2.0, 3)
    assert found.half_width == pytest.approx(4.30265 / math.sqrt(3), abs=1e-4)
    assert found.is_noise


@pytest.mark.parametrize('differences, noise', [([1.0, 1.1, 0.9], False), ([-1.0, -1.1, -0.9], False),
                                                ([1.0, -1.0, 1.0], True), ([1.0], True), ([], True)])
def test_what_may_be_noise(differences, noise):
    assert estimate(differences).is_noise == noise
