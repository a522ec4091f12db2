"""A checkpoint is read as data, or refused in a sentence."""

import multiprocessing
import os
import pickle
import random
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from clim_mm.checkpoints import read_checkpoint
from clim_mm.errors import CheckpointError, DamagedCheckpoint


class RunsACommand:
    """When it is unpickled, a file is made."""

    def __init__(self, marker):
        self.command = f'touch {marker}'

    def __reduce__(self):
        return os.system, (self.command, )


class Foreign:
    """A class of nobody's list."""


def saved(content, path, **options):
    torch.save(content, path, **options)
    return path


def assert_same(a, b, where=''):
    """The same types and values, all the way down."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f'{where}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f'{where}.{i}')
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), where
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.flags.writeable, where
        np.testing.assert_array_equal(a, b, where)
    elif isinstance(a, HistoryBuffer):
        assert_same(a.data, b.data, where)
        assert a.max_length == b.max_length and a.mean() == b.mean() == a.statistics('mean'), where
    else:
        assert a == b, where


@pytest.mark.parametrize('archive', [True, False], ids=['archive', 'old format'])
@pytest.mark.parametrize('which', ['clim_checkpoint', 'toy_checkpoint'])
def test_a_runners_checkpoint_is_read_as_the_pickle_would_be(request, tmp_path, which, archive):
    path = request.getfixturevalue(which)
    whole = torch.load(path, weights_only=False)  # our own file: trusted
    if not archive:
        path = saved(whole, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    read = read_checkpoint(path)
    assert_same(read, whole)
    assert read['state_dict']._metadata == whole['state_dict']._metadata
    assert {'meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers'} <= set(read)
    assert len(read['message_hub']['log_scalars']['train/loss'].data[0]) == 6, 'two epochs of three steps'


def test_weights_alone_are_read(tmp_path):
    weights = torch.nn.BatchNorm1d(3).state_dict()
    assert_same(read_checkpoint(saved(weights, tmp_path / 'weights.pth')), weights)


@pytest.mark.parametrize('archive', [True, False], ids=['archive', 'old format'])
def test_a_checkpoint_cut_anywhere_is_refused(tmp_path, toy_checkpoint, archive):
    path = tmp_path / 'cut.pth'
    saved(read_checkpoint(toy_checkpoint), path, _use_new_zipfile_serialization=archive)
    whole = path.read_bytes()
    draw = random.Random(0)
    places = [0, 1, 3, 4, 5, 14, 15, 16, 100, len(whole) - 1, *draw.sample(range(17, len(whole) - 1), 50)]
    for place in places:
        path.write_bytes(whole[:place])
        with pytest.raises(DamagedCheckpoint if archive else CheckpointError) as refusal:
            read_checkpoint(path)
        message = str(refusal.value)
        if not isinstance(refusal.value, DamagedCheckpoint):
            assert ' needs ' in message, 'in the old format a name may be cut'
            continue
        assert message.startswith(f'The checkpoint {path} is cut off or damaged ('), f'{place}: {message}'
        assert message.endswith(f'take the one before it in {tmp_path}, as --resume without a file does.')
        assert '\n' not in message and len(message) < 2 * len(str(tmp_path)) + 300
    path.write_bytes(whole)
    assert read_checkpoint(path)['meta']['epoch'] == 2


def test_one_altered_bit_is_noticed(tmp_path, toy_checkpoint):
    whole = bytearray(toy_checkpoint.read_bytes())
    weights = read_checkpoint(toy_checkpoint)['state_dict']['layer.weight']
    whole[whole.index(weights.numpy().tobytes())] ^= 1
    path = tmp_path / 'altered.pth'
    path.write_bytes(whole)
    unnoticed = torch.load(path, weights_only=False)['state_dict']['layer.weight']
    assert not torch.equal(unnoticed, weights), 'not by torch'
    with pytest.raises(DamagedCheckpoint, match='cut off or damaged .*CRC'):
        read_checkpoint(path)


def test_an_altered_header_is_noticed(tmp_path, toy_checkpoint):
    whole = bytearray(toy_checkpoint.read_bytes())
    directory = whole.rindex(b'PK\x01\x02')  # of the last entry, in the archive's directory
    path = tmp_path / 'altered.pth'
    for place in range(directory, directory + 46):
        altered = bytearray(whole)
        altered[place] ^= 0x55
        path.write_bytes(altered)
        try:
            assert_same(read_checkpoint(path), read_checkpoint(toy_checkpoint))  # a time or a permission, say
        except DamagedCheckpoint as refusal:
            assert 'is cut off or damaged' in str(refusal)


@pytest.mark.parametrize('content', [
    b'', b'hello', b'<html>', b'\0' * 4096, pickle.dumps(dict(x=1)), pickle.dumps(dict(x=1), 2)])
def test_what_is_no_checkpoint(tmp_path, content):
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=f'^The checkpoint {path} is cut off or damaged .*or is none'):
        read_checkpoint(path)


def test_an_archive_of_something_else(tmp_path):
    path = tmp_path / 'photos.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('photos/1.png', b'1')
    with pytest.raises(DamagedCheckpoint, match='photos.zip is cut off or damaged .*or is none'):
        read_checkpoint(path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for name, words in [('nothing.pth', 'There is no checkpoint'), ('', 'is a folder'), ('pipe', 'is a device')]:
        with pytest.raises(CheckpointError, match=words) as refusal:
            read_checkpoint(tmp_path / name)
        assert str(tmp_path / name) in str(refusal.value)


def test_a_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(tmp_path / 'program.pt'))
    with pytest.raises(CheckpointError, match='program.pt .*TorchScript archives.*, or is none'):
        read_checkpoint(tmp_path / 'program.pt')


def test_a_tensor_alone_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='tensor.pth holds a Tensor, not a dictionary of weights'):
        read_checkpoint(saved(torch.zeros(2), tmp_path / 'tensor.pth'))


def test_a_command_in_a_checkpoint_does_not_run(tmp_path):
    marker = tmp_path / 'marker'
    command = RunsACommand(marker)
    for options in (dict(), dict(_use_new_zipfile_serialization=False)):
        path = saved(dict(state_dict=dict(), more=command), tmp_path / 'bad.pth', **options)
        with pytest.raises(CheckpointError, match=f'^The checkpoint {path} needs posix.system, which is not plain'):
            read_checkpoint(path)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / 'pickle.pth').write_bytes(pickle.dumps(command, protocol))
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / 'pickle.pth')
    assert not marker.exists()
    pickle.loads((tmp_path / 'pickle.pth').read_bytes())
    assert marker.exists(), 'and unpickled, it would have run'


def load_with_getattr(path):
    with torch.serialization.safe_globals([getattr, HistoryBuffer]):
        torch.load(path, weights_only=True)


def test_getattr_cannot_be_reached(tmp_path, crafted, attack):
    marker = tmp_path / 'marker'
    path = crafted(attack(f'open({str(marker)!r}, "w")'))
    with pytest.raises(CheckpointError, match='needs builtins.getattr'):
        read_checkpoint(path)
    assert not marker.exists()
    child = multiprocessing.get_context('fork').Process(target=load_with_getattr, args=(path, ))
    child.start()
    child.join()
    assert marker.exists(), 'where getattr is allowed, weights_only=True does run it'


@pytest.mark.parametrize('archive', [True, False], ids=['archive', 'old format'])
def test_a_foreign_class_is_named(tmp_path, archive):
    path = saved(dict(x=Foreign()), tmp_path / 'foreign.pth', _use_new_zipfile_serialization=archive)
    name = f'{Foreign.__module__}.Foreign'
    with pytest.raises(CheckpointError) as refusal:
        read_checkpoint(path)
    assert str(refusal.value) == (
        f'The checkpoint {path} needs {name}, which is not plain data and could run code: save the weights anew '
        'without it, or, if you trust it, allow it by torch.serialization.add_safe_globals.')
    assert not isinstance(refusal.value, DamagedCheckpoint)
    with torch.serialization.safe_globals([Foreign]):
        assert isinstance(read_checkpoint(path)['x'], Foreign)


def test_a_pickle_that_torch_does_not_admit(tmp_path):
    path = saved(dict(x=1), tmp_path / 'new.pth', pickle_protocol=4)
    with pytest.raises(CheckpointError, match='cannot be loaded .Unsupported operand 149.: save it anew by torch.save'):
        read_checkpoint(path)


def test_torch_is_given_the_device(tmp_path):
    path = saved(dict(x=torch.arange(3.)), tmp_path / 'weights.pth')
    assert read_checkpoint(path, map_location='meta')['x'].device.type == 'meta'
    assert read_checkpoint(str(path), map_location=None)['x'].tolist() == [0, 1, 2]
