"""MMEngine's local disk, written to atomically."""

from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from .atomic_write import write_atomically


@register_backend('clim_mm.atomic')
class AtomicBackend(LocalBackend):
    """The local disk, where no file is ever seen unfinished: see ``write_atomically``.

    ``CheckpointHook(backend_args=dict(backend='clim_mm.atomic'))`` writes checkpoints so.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes to a file.

        Raises:
            CheckpointError: If they cannot be written.
        """
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: Union[str, Path], encoding: str = 'utf-8') -> None:
        """Write text to a file, as ``put`` does bytes."""
        write_atomically(filepath, obj.encode(encoding))
