"""Files of records, one JSON object a line."""

import errno
import io
import json
import logging
import math
import os
from typing import Any

from mmengine.logging import print_log

from clim_mm.checkpoints.run_folder import run_id

_BLOCK = 4096  # bytes
_failing: set[str] = set()  # files of which the last record could not be written


def append_json_line(path: str, record: dict[str, Any]) -> None:
    """Append a record, and have it in the file when this returns.

    A record that cannot be written is left out as a whole, with a warning for the first of several: no training ends
    for it. Half a record, which a killed process or a full disk has left, makes room for the next.

    Args:
        path: Of the file; it is made if it is not there.
        record: Strings, numbers and arrays by name. NaN and infinity, which JSON does not know, become null. The
            training's ``run_id`` comes before them, if it has one.
    """
    line = json.dumps({name: _known(value) for name, value in {**run_id(), **record}.items()}, allow_nan=False) + '\n'
    try:
        _append(path, line.encode())
    except OSError as error:
        if path not in _failing:
            print_log(f'Records are missing in {path} from here on ({error.strerror}): the training goes on without.',
                      logger='current', level=logging.WARNING)
            _failing.add(path)
    else:
        _failing.discard(path)


def _known(value: Any) -> Any:
    value = value.tolist() if hasattr(value, 'tolist') else value  # torch's and numpy's
    if isinstance(value, (list, tuple)):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _append(path: str, line: bytes) -> None:
    with open(path, 'a+b', buffering=0) as file:  # a single write call: a process that dies leaves no half line
        size, end = file.seek(0, os.SEEK_END), _end_of_lines(file)
        if end < size:
            file.truncate(end)
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(end)
            raise


def _end_of_lines(file: io.FileIO) -> int:
    """Where the last whole line of a file ends."""
    after = file.seek(0, os.SEEK_END)
    while after > 0:
        start = file.seek(max(after - _BLOCK, 0))
        if (found := file.read(after - start).rfind(b'\n')) >= 0:
            return start + found + 1
        after = start
    return 0
