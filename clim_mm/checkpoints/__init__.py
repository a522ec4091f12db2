"""Checkpoints: written as a whole, read as data, whose they are, and which of them a run goes on from."""

from .atomic_backend import AtomicBackend
from .atomic_write import write_atomically
from .latest import latest_checkpoint, resume_latest
from .loading import register_loaders
from .reading import read_checkpoint
from .run_file import HeldFolder

__all__ = [
    'AtomicBackend', 'HeldFolder', 'latest_checkpoint', 'read_checkpoint', 'register_loaders', 'resume_latest',
    'write_atomically'
]
