"""A checkpoint is read as data, or refused in a sentence."""

import multiprocessing
import os
import pickle
import random
import zipfile
from argparse import Namespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import OneCycleLR

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.reading import ALLOWED, only_plain_data, rebuilt
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
    for name in ('nothing.pth', '', 'pipe'):
        with pytest.raises(CheckpointError, match=f'There is no checkpoint {tmp_path / name}: give the path'):
            read_checkpoint(tmp_path / name)


def test_a_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(tmp_path / 'program.pt'))
    with pytest.raises(CheckpointError, match='program.pt .*TorchScript archives.*, or is none'):
        read_checkpoint(tmp_path / 'program.pt')


def test_a_tensor_alone_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='tensor.pth holds no dictionary of weights'):
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
        'without it.')
    assert not isinstance(refusal.value, DamagedCheckpoint)


def test_torch_is_given_the_device(tmp_path):
    path = saved(dict(x=torch.arange(3.)), tmp_path / 'weights.pth')
    assert read_checkpoint(path, map_location='meta')['x'].device.type == 'meta'
    assert read_checkpoint(str(path), map_location=None)['x'].tolist() == [0, 1, 2]


def through_a_file(tmp_path, value):
    torch.save(dict(value=value), tmp_path / 'value.pth')
    return read_checkpoint(tmp_path / 'value.pth')['value']


@pytest.mark.parametrize('array', [
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.asfortranarray(np.arange(6.).reshape(2, 3)),
    np.arange(3, dtype='>i4'),
    np.array(3.5, dtype=np.float16),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array(['cat', 'mouse']),
    np.array([b'cat']),
    np.zeros((0, 4), dtype=np.uint8),
])
def test_arrays_of_numbers_and_strings(tmp_path, array):
    read = through_a_file(tmp_path, array)
    assert type(read) is np.ndarray and read.dtype == array.dtype and read.shape == array.shape
    assert read.flags.f_contiguous == array.flags.f_contiguous and read.flags.owndata and read.flags.writeable
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize('value', [
    np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True), 2**100, -1, 0.1, 'ä', b'', b'a\xff', None, {1, 2},
    (1, (2, [3])), 1j, bytearray(b'ab'), torch.Size([2, 3]), torch.float16, np.dtype('f4')])
def test_other_values(tmp_path, value):
    read = through_a_file(tmp_path, value)
    assert type(read) is type(value) and read == value


def test_states_of_random_generators(tmp_path):
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    generator = np.random.default_rng(3)
    states = through_a_file(tmp_path, dict(
        python=random.getstate(), numpy=np.random.get_state(), torch=torch.get_rng_state(),
        generator=generator.bit_generator.state))
    drawn = random.random(), np.random.rand(), torch.rand(()).item(), generator.random()
    random.setstate(states['python'])
    np.random.set_state(states['numpy'])
    torch.set_rng_state(states['torch'])
    generator = np.random.default_rng()
    generator.bit_generator.state = states['generator']
    assert (random.random(), np.random.rand(), torch.rand(()).item(), generator.random()) == drawn


def an_array_of_objects():
    array = np.empty(2, dtype=object)
    array[:] = [1, 'a']
    return array


@pytest.mark.parametrize('value, name', [
    (an_array_of_objects(), 'numpy.dtype'),
    (np.zeros(2, dtype=[('x', 'f4')]), 'numpy.dtype'),
    (np.datetime64('2020-01-01'), 'numpy.dtype'),
    (np.random.default_rng(0), r'numpy.random._pickle.__generator_ctor'),
    (slice(1), 'slice'),
    (print, 'print'),
])
def test_other_things_are_refused_by_name(tmp_path, value, name):
    with pytest.raises(CheckpointError, match=f'needs {name}, which is not plain data'):
        through_a_file(tmp_path, value)


def test_histories_come_back_with_their_statistics(tmp_path):
    history = HistoryBuffer([1., 2., 6.], [1, 1, 2], max_length=3)
    read = through_a_file(tmp_path, (history, history))
    assert read[0] is read[1], 'one object stays one object'
    read = read[0]
    assert type(read) is HistoryBuffer and read.max_length == 3
    assert read.statistics('mean') == 9 / 4 and read.statistics('max') == 6 and read.statistics('current') == 6
    read.update(4., 1)
    assert read.data[0].tolist() == [2, 6, 4] and read.data[1].tolist() == [1, 2, 1]


def test_a_file_cannot_change_the_statistics_of_all_histories(crafted):
    text = (b'\x80\x02cmmengine.logging.history_buffer\nHistoryBuffer\n)\x81}'  # a HistoryBuffer with the state ...
            b'X\x12\x00\x00\x00statistics_methods}X\x04\x00\x00\x00meanX\x03\x00\x00\x00badssb.')
    with pytest.raises(CheckpointError):
        read_checkpoint(crafted(text))
    assert HistoryBuffer([2.], [1]).statistics('mean') == 2


@pytest.mark.parametrize('core', ['core', '_core'])
def test_arrays_of_numpy_1_and_2(crafted, tmp_path, core):
    torch.save(dict(array=np.arange(3), scalar=np.float64(2)), tmp_path / 'new.pth')
    with zipfile.ZipFile(tmp_path / 'new.pth') as archive:
        data = archive.read('new/data.pkl')
    assert data.count(b'numpy._core.multiarray\n') == 2
    read = read_checkpoint(crafted(data.replace(b'numpy._core.multiarray\n', f'numpy.{core}.multiarray\n'.encode())))
    assert read['array'].tolist() == [0, 1, 2] and read['scalar'] == 2


def test_a_configs_dictionary_is_read_as_a_plain_one(tmp_path):
    config = ConfigDict(classes=('a', ), palette=dict(a=[1, 2]))
    read = through_a_file(tmp_path, config)
    assert type(read) is dict and type(read['palette']) is dict and read == config


def test_a_one_cycle_schedule_is_read_without_its_curve(tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    state = OneCycleLR(optimizer, eta_max=1., total_steps=10).state_dict()
    read = through_a_file(tmp_path, state)
    assert {name: value for name, value in state.items() if read[name] != value}.keys() == {'anneal_func'}


def test_the_users_own_allow_list_is_as_before():
    class Mine:
        pass

    torch.serialization.add_safe_globals([Mine, (len, 'numpy.ndarray')])
    before = set(torch.serialization.get_safe_globals())
    try:
        with only_plain_data():
            assert set(torch.serialization.get_safe_globals()) == set(ALLOWED)
        assert set(torch.serialization.get_safe_globals()) == before
        with pytest.raises(KeyError), only_plain_data():
            raise KeyError
        assert set(torch.serialization.get_safe_globals()) == before
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(list(before - {Mine, (len, 'numpy.ndarray')}))


def test_what_contains_itself_is_rebuilt():
    ring = [1]
    ring.append(dict(ring=ring))
    assert rebuilt(ring) is ring and ring[1]['ring'] is ring


def test_arguments_become_a_dictionary(tmp_path):
    args = Namespace(lr=0.1, sizes=(1, 2), seen=np.arange(3), more=Namespace(name='a'))
    torch.save(dict(args=args, x=torch.ones(2)), tmp_path / 'a.pth')
    args = read_checkpoint(tmp_path / 'a.pth')['args']
    assert type(args) is dict and args.pop('seen').tolist() == [0, 1, 2]
    assert args == dict(lr=0.1, sizes=(1, 2), more=dict(name='a'))
    torch.save(dict(args=Namespace(function=print)), tmp_path / 'b.pth')
    with pytest.raises(CheckpointError, match='needs print'):
        read_checkpoint(tmp_path / 'b.pth')
