"""Slices within a budget."""

import pytest

from clim_mm.errors import ConfigError
from clim_mm.neighbors.blocks import blocks


@pytest.mark.parametrize('num_rows, budget, sizes', [
    (1000, 4000, [400, 400, 200]), (1000, 10**9, [1000]), (800, 4000, [400, 400]), (10, 100, [10]), (65, 640, [64, 1])])
def test_every_row_once(num_rows, budget, sizes):
    slices = list(blocks(num_rows, 10, budget))
    assert [part.stop - part.start for part in slices] == sizes
    assert [row for part in slices for row in range(part.start, part.stop)] == list(range(num_rows))


def test_too_small_a_budget_is_an_error_at_once():
    # 64 rows of 100,000 bytes are 6.1 MiB.
    with pytest.raises(ConfigError, match='of 1 MiB does not hold a block of 64 rows: .* at least 7'):
        blocks(1000, 100_000, 2**20)
