"""The draws of a view as numbers, by hand."""

import numpy as np
import pytest

from clim_mm.datasets.device_views import ROW, PhotometricDraws

NOTHING = [1, 0, 0]


def test_no_draws():
    np.testing.assert_array_equal(PhotometricDraws().as_row(), 6 * NOTHING + [0, 0, 0])
    assert len(PhotometricDraws().as_row()) == ROW


def test_the_order_is_kept_around_the_hue():
    # Saturation, hue, contrast, brightness.
    draws = PhotometricDraws(gray=True, sigma=1.5).with_jitter([0.7, 1.25, 0.5, -0.25], [2, 3, 1, 0])
    before = [0.5, 1, 0] + 2 * NOTHING
    after = [1.25, 0, 1] + [np.float32(0.7), 0, 0] + NOTHING
    np.testing.assert_array_equal(draws.as_row(), np.array(before + after + [-0.25, 1, 1.5], np.float32))


@pytest.mark.parametrize('order', [(0, 1, 2, 3), (3, 0, 1, 2)])
def test_what_was_not_drawn_is_left_out(order):
    draws = PhotometricDraws().with_jitter([0.5, None, 1.5, None], order)
    assert draws.jitter == ((0, 0.5), (2, 1.5))
    np.testing.assert_array_equal(draws.as_row(), [0.5, 0, 0, 1.5, 1, 0] + 4 * NOTHING + [0, 0, 0])
