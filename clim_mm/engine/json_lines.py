"""A file of records, one JSON object a line."""

import json
import math
from typing import Any


def append_json_line(path: str, record: dict[str, Any]) -> None:
    """Append a record, and have it in the file when this returns.

    Args:
        path: Of the file; it is made if it is not there.
        record: Strings and numbers by name. NaN and infinity, which JSON does not know, become null.
    """
    known = {name: None if isinstance(value, float) and not math.isfinite(value) else value
             for name, value in record.items()}
    line = json.dumps(known, allow_nan=False) + '\n'
    with open(path, 'ab', buffering=0) as file:  # a single write call: a process that dies leaves no half line
        file.write(line.encode())
