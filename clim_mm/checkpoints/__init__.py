"""Checkpoints: written as a whole, read as data, whose they are, and which of them a run goes on from."""

from .atomic_write import AtomicBackend, write_atomically, write_json
from .loaders import register_loaders
from .reading import read_checkpoint
from .run_folder import HeldFolder, latest_checkpoint, resume_latest

__all__ = [
    'AtomicBackend', 'HeldFolder', 'latest_checkpoint', 'read_checkpoint', 'register_loaders', 'resume_latest',
    'write_atomically', 'write_json'
]
