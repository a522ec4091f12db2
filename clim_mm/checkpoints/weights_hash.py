"""One name for a set of weights, by which it is known again in another file."""

import hashlib
from collections.abc import Mapping

import torch


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
