"""Where images are stored: MMEngine's backends, and warnings about images that are given once."""

import logging
from typing import Optional

from mmengine import dist
from mmengine.fileio import BaseStorageBackend, get_file_backend
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, on_one_line, printable
from clim_mm.storage import is_transient

_warned: set[str] = set()


def backend_of(path: str, backend_args: Optional[dict] = None) -> BaseStorageBackend:
    """The backend that reads a file or folder, one a process and setting, as MMEngine chooses it."""
    try:
        return get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except Exception as error:  # a backend is anyone's code
        if is_transient(error):
            raise
        said = f'there is no backend {error}' if isinstance(error, KeyError) else on_one_line(error)
        raise machine_error(error) or ConfigError(
            f'The storage of {printable(path)} cannot be used with backend_args={backend_args} ({said}): correct '
            'backend_args of LoadImage, or what stands before :// in the path.') from error


def warn_once(topic: str, sentence: str) -> None:
    """Log a warning the first time about its topic, in the first process and its first worker alone."""
    worker = get_worker_info()
    if topic not in _warned and dist.is_main_process() and (worker is None or worker.id == 0):
        _warned.add(topic)
        print_log(sentence, logger='current', level=logging.WARNING)
