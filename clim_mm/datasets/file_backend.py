"""MMEngine's storage backends, where what is no storage is a setting's fault and not that of the files."""

from typing import Optional

from mmengine.fileio import BaseStorageBackend, get_file_backend

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, on_one_line, printable
from clim_mm.storage import is_transient


def backend_of(path: str, backend_args: Optional[dict] = None) -> BaseStorageBackend:
    """The backend that reads a file or folder, one a process and setting.

    Args:
        path: Of the file or folder; what stands before ``://`` chooses a backend.
        backend_args: Its arguments, as MMEngine's functions take them; ``backend`` among them chooses as well.

    Raises:
        ConfigError: If there is no such backend, or it cannot begin to work.
    """
    try:
        return get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except Exception as error:  # a backend is anyone's code
        if is_transient(error):
            raise
        said = f'there is no backend {error}' if isinstance(error, KeyError) else on_one_line(error)
        raise machine_error(error) or ConfigError(
            f'The storage of {printable(path)} cannot be used with backend_args={backend_args} ({said}): correct '
            'backend_args of LoadImage, or what stands before :// in the path.') from error
