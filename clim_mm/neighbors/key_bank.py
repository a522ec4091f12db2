"""The keys that training computed anyway, by sample id, in a file that a refresh reads instead of extracting."""

import json
import os
import os.path as osp
import uuid
from pathlib import Path
from typing import Union

import numpy as np
import torch

from clim_mm.causes import machine_error, remedy_for
from clim_mm.checkpoints import write_atomically
from clim_mm.checkpoints.atomic_write import run_id
from clim_mm.errors import CheckpointError, StorageError
from clim_mm.storage import is_there, patiently

from .faiss_backend import ROWS_PER_BLOCK

_KEYS, _EPOCHS, _COUNTS, _HEADER = 'keys.f32', 'epochs.i32', 'counts.i32', 'bank.json'
_NEVER = -1
_ENTRIES_TO_WAIT = 32  # the host reads from the device once in so many steps [ours]
_REMEDY = 'delete that folder, and the features of the images that are not trained on until then are extracted'


class KeyBank:
    """The mean of each image's last keys, and the epoch in which the last one was computed; one process holds it.

    Three memory-mapped files in a folder: ``keys.f32``, (N, C) float32; ``epochs.i32``, (N,) int32, -1 = never; and
    ``counts.i32``, (N,) int32, of the keys so far. The header ``bank.json`` is written last.

    An image's n-th key has the weight 1 / min(n, ``num_averaged``) against the mean before it: a plain mean of the
    first, then an exponential one. A single key is of a single random crop, and far from the image's own feature.

    Attributes:
        identity: Drawn when the bank was created: a checkpoint notes which one belongs to it.
        epoch: That keys are added in.
    """

    def __init__(self, folder: str, num_images: int, dim: int, identity: str, num_averaged: int) -> None:
        """Map files that are there: use :meth:`create` or :meth:`open`."""
        self.folder = folder
        self.identity = identity
        self.epoch = 0
        self.num_averaged = num_averaged
        self._keys = np.memmap(osp.join(folder, _KEYS), np.float32, 'r+', shape=(num_images, dim))
        self._epochs, self._counts = (np.memmap(osp.join(folder, name), np.int32, 'r+', shape=(num_images, ))
                                      for name in (_EPOCHS, _COUNTS))
        self._waiting: list[tuple[torch.Tensor, torch.Tensor, int]] = []

    @classmethod
    def create(cls, folder: Union[str, os.PathLike], num_images: int, dim: int, num_averaged: int = 1) -> 'KeyBank':
        """Begin an empty bank of N x C in place of any that is there."""
        folder, identity = os.fspath(folder), uuid.uuid4().hex
        header = dict(num_images=num_images, dim=dim, identity=identity, **run_id())
        try:
            os.makedirs(folder, exist_ok=True)
            Path(folder, _HEADER).unlink(missing_ok=True)
            # Written, not only made as long: a full disk would end the process at some later step.
            for name, size in _file_bytes(num_images, dim).items():
                with open(osp.join(folder, name), 'wb') as file:
                    byte = b'\xff' if name == _EPOCHS else b'\0'  # of an int32, 0xff is -1
                    for start in range(0, size, 2**22):
                        file.write(byte * min(2**22, size - start))
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise CheckpointError(
                f'Cannot write the key bank {folder} of {bank_bytes(num_images, dim) / 2**20:,.1f} MiB '
                f'({error.strerror}){remedy_for(error)}; feature_source="extract" needs none.') from error
        write_atomically(osp.join(folder, _HEADER), json.dumps(header).encode())
        return cls(folder, num_images, dim, identity, num_averaged)

    @classmethod
    def open(cls, folder: Union[str, os.PathLike], num_images: int, dim: int, num_averaged: int = 1) -> 'KeyBank':
        """Go on with the bank that is there, unless it is damaged or not N x C."""
        folder = os.fspath(folder)
        try:
            header = json.loads(patiently(Path(folder, _HEADER).read_bytes, folder))
            if (sizes := (header['num_images'], header['dim'])) != (num_images, dim):
                raise ValueError(f'{sizes[0]} x {sizes[1]} keys, but this training has {num_images} x {dim}')
            for name, wanted in _file_bytes(num_images, dim).items():
                if (size := osp.getsize(osp.join(folder, name))) != wanted:
                    raise ValueError(f'{name} has {size} bytes instead of {wanted}')
            return cls(folder, num_images, dim, str(header['identity']), num_averaged)
        except StorageError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise machine_error(error) or CheckpointError(
                f'The key bank {folder} cannot be used ({reason}): {_REMEDY}.') from error

    @staticmethod
    def exists(folder: Union[str, os.PathLike]) -> bool:
        """Whether a bank is there."""
        return is_there(osp.join(folder, _HEADER))

    def add(self, keys: torch.Tensor, ids: torch.Tensor) -> None:
        """Add (n, C) L2-normalised keys of the images ``ids``, (n,) int64; they are written every few dozens of steps.

        Neither is to be changed afterwards. Ids below 0 are passed over; of two rows with one id the later counts.
        """
        self._waiting.append((keys.detach(), ids.detach(), self.epoch))
        if len(self._waiting) >= _ENTRIES_TO_WAIT:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        for keys, ids, epoch in waiting:
            places = ids.cpu().numpy()
            rows = keys.to('cpu', torch.float32).numpy()
            # The first of each id in reverse order is its last; which one numpy would keep is not promised.
            places, from_end = np.unique(places[::-1], return_index=True)
            there = places >= 0
            places, rows = places[there], rows[::-1][from_end[there]]
            before = self._keys[places]
            # What was forgotten or never there, or is no mean of keys, has no part in the new one.
            whole = (self._epochs[places] >= 0) & (np.abs(before) < 1.01).all(axis=1)
            before[~whole] = 0
            counts = np.where(whole, self._counts[places], 0)
            weights = (1 / np.minimum(counts + 1, self.num_averaged)).astype(np.float32)[:, None]
            self._keys[places] = before * (1 - weights) + rows * weights
            self._counts[places] = np.minimum(counts + 1, self.num_averaged)
            self._epochs[places] = epoch

    def sync(self) -> None:
        """Write what waits, and put all of it on the disk."""
        self.flush()
        for part in (self._keys, self._epochs, self._counts):
            part.flush()

    def features(self) -> np.ndarray:
        """(N, C) float32, L2-normalised, a copy in memory; rows of ``never_seen`` mean nothing."""
        self.flush()
        features = np.array(self._keys)
        averaged = (self._counts > 1).any()  # a bank may have been begun with another ``num_averaged``
        for start in range(0, len(features) if averaged else 0, ROWS_PER_BLOCK):
            rows = features[start:start + ROWS_PER_BLOCK]
            with np.errstate(all='ignore'):
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return features

    @property
    def epochs(self) -> np.ndarray:
        """(N,) int32, a copy: the epoch in which each image's key was computed, -1 = never."""
        self.flush()
        return np.array(self._epochs)

    def forget_after(self, epoch: int) -> None:
        """Count keys as never seen that were computed in later epochs than this one."""
        self.flush()
        self._epochs[self._epochs > epoch] = _NEVER

    def never_seen(self) -> np.ndarray:
        """(N,) bool: images without a key, or whose row is no mean of unit vectors, as after a power failure."""
        seen = self.epochs >= 0
        for start in range(0, len(seen), ROWS_PER_BLOCK):
            block = slice(start, start + ROWS_PER_BLOCK)
            rows = self._keys[block]
            with np.errstate(invalid='ignore', over='ignore'):
                squares = np.einsum('nc,nc->n', rows, rows)
                least = np.where(self._counts[block] > 1, 1e-6, 0.99)
                seen[block] &= (squares > least) & (squares < 1.01)
        return ~seen


def bank_bytes(num_images: int, dim: int) -> int:
    """Bytes of a bank of N x C on the disk, but for the header."""
    return sum(_file_bytes(num_images, dim).values())


def _file_bytes(num_images: int, dim: int) -> dict[str, int]:
    return {_KEYS: 4 * num_images * dim, _EPOCHS: 4 * num_images, _COUNTS: 4 * num_images}
