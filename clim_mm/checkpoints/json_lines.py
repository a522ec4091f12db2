"""Files of records, one JSON object a line, MMEngine's scalars among them."""

import errno
import json
import logging
import math
import os
from typing import Any

from mmengine.logging import MessageHub, print_log
from mmengine.visualization import LocalVisBackend as PlainVisBackend

from clim_mm.checkpoints.run_folder import RUN_ID
from clim_mm.registry import VISBACKENDS

_failing: set[str] = set()  # files of which the last record could not be written


def run_id() -> dict[str, Any]:
    """The id of this process's training as a field of a record; nothing if it has none."""
    known = MessageHub.get_current_instance().get_info(RUN_ID)
    return {} if known is None else {RUN_ID: known}


def append_json_line(path: str, record: dict[str, Any]) -> None:
    """Append a record of strings, numbers and arrays, after the training's ``run_id`` if it has one.

    NaN and infinity, which JSON does not know, become null. A record that cannot be written is left out as a whole,
    with a warning for the first of several: no training ends for it. Half a record, which a killed process or a full
    disk has left, makes room for the next.
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


@VISBACKENDS.register_module()
class LocalVisBackend(PlainVisBackend):
    """``mmengine.LocalVisBackend`` whose scalars no full disk cuts in two: see :func:`append_json_line`."""

    def _dump(self, value_dict: dict, file_path: str, file_format: str) -> None:
        append_json_line(file_path, value_dict)


def _known(value: Any) -> Any:
    value = value.tolist() if hasattr(value, 'tolist') else value  # torch's and numpy's
    if isinstance(value, (list, tuple)):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _append(path: str, line: bytes) -> None:
    with open(path, 'a+b', buffering=0) as file:  # a single write call: a process that dies leaves no half line
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        if file.read(1) not in (b'\n', b''):
            file.seek(0)
            end = file.truncate(file.read().rfind(b'\n') + 1)
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(end)
            raise
