"""Where a file that was exported has its header."""

from collections.abc import Mapping
from typing import Any, Optional

KEY = 'clim_mm'  # under which a file has its header


def header_in(loaded: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """The header in what a file of ``torch.save`` holds; None if there is none.

    A dictionary of tensors alone has it in ``_metadata``, beside what ``state_dict()`` keeps there: such a dictionary
    goes into ``load_state_dict`` as it is.
    """
    for place in (loaded, loaded.get('meta'), getattr(loaded, '_metadata', None)):
        header = place.get(KEY) if isinstance(place, Mapping) else None
        if isinstance(header, dict) and 'target' in header:
            return header
    return None
