"""The header of an exported file."""

import hashlib
import json

import pytest
import torch
from written_checkpoints import checkpoint_of

from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.errors import CheckpointError, sentence
from clim_mm.export import FORMATS, read_header, weights_sha256
from clim_mm.export.header import header_in
from clim_mm.version import __version__


def test_the_hash_of_a_file(tmp_path):
    content = bytes(range(256)) * 5000  # of more than a block
    (tmp_path / 'x').write_bytes(content)
    assert file_sha256(tmp_path / 'x') == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize('target', [
    pytest.param(name, marks=pytest.mark.e2e) if form.program else name for name, form in FORMATS.items()])
def test_each_file_brings_its_header_along(target, export18, checkpoint18):
    path, exported = export18(target)
    header = read_header(path)
    assert header == exported.header and json.loads(json.dumps(header)) == header
    assert (header['target'], header['architecture'], header['clim_mm']) == (target, 'resnet18', __version__)
    assert (header['epochs'], header['date']) == (200, '2026-01-09T10:11:12')
    assert header['config']['name'] == 'clim_r50_16xb32-200e_in1k'
    assert header['config']['model']['backbone']['depth'] == 18
    assert header['checkpoint_sha256'] == file_sha256(checkpoint18)
    assert header['input'] == dict(
        channel_order='RGB', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], size=224)
    assert header['parity']['most'] == 1e-5


def test_the_weights_of_the_file_have_the_hash_of_its_header(export18):
    path, exported = export18('timm')
    assert weights_sha256(torch.load(path, weights_only=True)) == exported.header['weights_sha256']


def test_files_without_a_header(tmp_path, resnet18):
    torch.save(resnet18.state_dict(), tmp_path / 'plain.pth')
    assert read_header(tmp_path / 'plain.pth') is None
    assert header_in(checkpoint_of(resnet18)) is None
    assert header_in(dict(clim_mm='0.1.0', meta=[], state_dict={})) is None


@pytest.mark.parametrize('content', [b'', b'{}', b'\xff' * 8 + b'{}', b'\x02' + bytes(7) + b'[]', b'\x02' + bytes(7)])
def test_a_safetensors_file_that_is_none(tmp_path, content):
    path = tmp_path / 'model.safetensors'
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as raised:
        read_header(path)
    assert sentence(raised.value).startswith(f'{path} is no whole safetensors file (')
