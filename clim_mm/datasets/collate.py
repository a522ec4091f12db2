"""MMEngine's ``default_collate``, for configs that others inherit from."""

from collections.abc import Sequence
from typing import Any, Optional

from mmengine.dataset import default_collate

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, on_one_line
from clim_mm.registry import FUNCTIONS


@FUNCTIONS.register_module()
def stack_collate(data_batch: Sequence, _scope_: Optional[str] = None) -> Any:
    """Stack a batch's tensors, as ``mmengine.dataset.default_collate`` does.

    A config that inherits by ``clim_mm::...`` gets a key ``_scope_`` in every dict with a ``type``, and
    MMEngine passes the dict's further keys to the collate function. MMEngine's own fails on that key.

    Args:
        data_batch: The samples.
        _scope_: Ignored.

    Raises:
        ConfigError: If they cannot be stacked.
        MachineError: If there is no memory for the batch, or none that processes share.
    """
    try:
        return default_collate(data_batch)
    except (RuntimeError, TypeError, KeyError) as error:
        raise machine_error(error) or ConfigError(
            f'The samples of a batch cannot be stacked ({on_one_line(error)}){_remedy(error)}.') from error


def _remedy(error: Exception) -> str:
    if 'equal size' in str(error):
        return ': let the pipeline end with images of one size'
    if isinstance(error, (TypeError, KeyError)):
        return ': let the pipeline end with PackPair or PackSelfSupInputs'
    return ''
