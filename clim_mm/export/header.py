"""The header of an exported file: where its weights come from, and what images they want."""

import json
import os
import os.path as osp
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Optional, Union

import torch

from clim_mm.causes import machine_error
from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.backbone import KEY, header_in
from clim_mm.checkpoints.weights import weights_sha256
from clim_mm.errors import CheckpointError
from clim_mm.version import __version__

from .pretraining import Pretraining

PROGRAM = '.pt2'  # ending of a program of torch.export
WEIGHTS_FILE = 'model.safetensors'  # in a folder for Hugging Face


def header_of(target: str, architecture: str, pretraining: Pretraining, checkpoint_hash: str,
              tensors: Mapping[str, torch.Tensor], parity: Mapping[str, Any]) -> dict[str, Any]:
    """The header, as values that JSON has.

    Args:
        target: The library that the file is for.
        architecture: As ``resnet50``.
        pretraining: That the weights come from.
        checkpoint_hash: SHA-256 of its checkpoint.
        tensors: Of the file, by the library's names.
        parity: What the file was compared with, and the largest difference that was allowed.
    """
    source = asdict(pretraining)
    return dict(
        target=target, architecture=architecture, clim_mm=__version__, config=source['config'],
        epochs=source['epochs'], date=source['date'],
        input={name: list(value) if isinstance(value, tuple) else value for name, value in source['input'].items()},
        checkpoint_sha256=checkpoint_hash, weights_sha256=weights_sha256(tensors), parity=dict(parity))


def read_header(path: Union[str, os.PathLike]) -> Optional[dict[str, Any]]:
    """The header of an exported file or folder; None if it has none.

    Args:
        path: Of a file of ``torch.save``, a safetensors file, or a folder with one.

    Raises:
        CheckpointError: If there is no such file, or it cannot be read.
    """
    path = osp.expanduser(os.fspath(path))
    if osp.isdir(path) and osp.isfile(osp.join(path, WEIGHTS_FILE)):
        path = osp.join(path, WEIGHTS_FILE)
    if path.endswith(PROGRAM) and zipfile.is_zipfile(path):
        return _program_header(path)
    if path.endswith('.safetensors') and osp.isfile(path):
        text = _safetensors_metadata(path).get(KEY)
        return None if text is None else json.loads(text)
    return header_in(read_checkpoint(path))


def _program_header(path: str) -> Optional[dict[str, Any]]:
    """A program of ``torch.export`` has it among the files that may be added to it."""
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith(f'/extra/{KEY}')), None)
        return None if name is None else json.loads(archive.read(name))


def _safetensors_metadata(path: str) -> dict[str, str]:
    """A file begins with the length of a JSON text, 8 bytes, little-endian, and the text."""
    try:
        with open(path, 'rb') as file:
            length = int.from_bytes(file.read(8), 'little')
            if length > osp.getsize(path):
                raise ValueError('it is cut off')
            return json.loads(file.read(length)).get('__metadata__') or {}
    except (OSError, ValueError, AttributeError) as error:
        raise machine_error(error) or CheckpointError(
            f'{path} is no whole safetensors file ({error}): export it anew.') from error
