"""Rows that are worked on together, within a budget of memory."""

from collections.abc import Iterator

from clim_mm.errors import ConfigError

ROWS_PER_BLOCK = 65536  # where no budget says otherwise: bounds what a block takes, and no call is worth more
_FEWEST_ROWS = 64  # below, faiss's work on a block is mostly overhead


def blocks(num_rows: int, bytes_per_row: int, budget: int) -> Iterator[slice]:
    """Slices that cover ``num_rows`` rows, as long as the budget admits.

    Args:
        num_rows: N.
        bytes_per_row: What the work on a row takes meanwhile.
        budget: Bytes for a block.

    Raises:
        ConfigError: If the budget does not hold a small block. At once, not with the first slice.
    """
    rows = budget // bytes_per_row
    if rows < min(num_rows, _FEWEST_ROWS):
        needed = -(-_FEWEST_ROWS * bytes_per_row // 2**20)
        raise ConfigError(f'A memory budget of {budget / 2**20:.3g} MiB does not hold a block of {_FEWEST_ROWS} rows: '
                          f'set memory_mib of CenterWiseNeighborHook to at least {needed}.')
    return (slice(start, min(start + rows, num_rows)) for start in range(0, num_rows, rows))
