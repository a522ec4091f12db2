"""Names by which a file, or a set of weights in whatever file, is known again."""

import hashlib
import os
from collections.abc import Mapping
from typing import Union

import torch

_BLOCK = 1 << 20  # bytes


def file_sha256(path: Union[str, os.PathLike]) -> str:
    """SHA-256 of a file, as ``sha256sum`` prints it."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def weights_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of tensors, for each in the order of their names: name, type and shape on a line, then its values.

    Args:
        tensors: By name, on any device.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous().numpy()
        little_endian = values.astype(values.dtype.newbyteorder('<'), copy=False)
        digest.update(f'{name} {values.dtype} {values.shape}\n'.encode())
        digest.update(little_endian.tobytes())
    return digest.hexdigest()
