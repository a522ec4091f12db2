"""What a checkpoint may hold, and what it may not."""

import random
import zipfile
from argparse import Namespace
from pathlib import Path, PurePath, PureWindowsPath

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import OneCycleLR

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.plain_data import ALLOWED, only_plain_data, rebuilt
from clim_mm.errors import CheckpointError


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
    (an_array_of_objects(), 'numpy.dtype.\'O8\'.'),
    (np.zeros(2, dtype=[('x', 'f4')]), 'numpy.dtype.\'V4\'.'),
    (np.datetime64('2020-01-01'), 'numpy.dtype.\'M8\'.'),
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


def test_a_configs_dictionary(tmp_path):
    config = ConfigDict(classes=('a', ), palette=dict(a=[1, 2]))
    read = through_a_file(tmp_path, config)
    assert type(read) is ConfigDict and read.palette.a == [1, 2] and read == config


@pytest.mark.parametrize('strategy', ['cos', 'linear'])
def test_the_curve_of_a_one_cycle_schedule(tmp_path, strategy):
    def schedule():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
        return optimizer, OneCycleLR(optimizer, eta_max=1., total_steps=10, anneal_strategy=strategy)

    def go_on(optimizer, scheduler):
        optimizer.step()
        scheduler.step()
        return optimizer.param_groups[0]['lr']

    optimizer, scheduler = schedule()
    go_on(optimizer, scheduler)
    state = through_a_file(tmp_path, scheduler.state_dict())
    another, resumed = schedule()
    resumed.load_state_dict(state)
    another.load_state_dict(optimizer.state_dict())
    assert [go_on(optimizer, scheduler) for _ in range(5)] == [go_on(another, resumed) for _ in range(5)]


def test_the_users_own_allow_list_is_as_before():
    class Mine:
        pass

    torch.serialization.add_safe_globals([Mine, (len, 'numpy.ndarray')])
    before = set(torch.serialization.get_safe_globals())
    try:
        with only_plain_data():
            inside = set(torch.serialization.get_safe_globals())
            assert inside == before - {(len, 'numpy.ndarray')} | set(ALLOWED), 'ours, where both have the name'
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


def test_paths_become_strings(tmp_path):
    args = Namespace(out=Path('/data/ümläut'), relative=Path('a/b'), here=Path(), windows=PureWindowsPath('C:/x'))
    assert through_a_file(tmp_path, args) == dict(out='/data/ümläut', relative='a/b', here='', windows='C:\\/x')
    torch.save(dict(args=PurePath), tmp_path / 'c.pth')
    with pytest.raises(CheckpointError, match='needs pathlib'):
        read_checkpoint(tmp_path / 'c.pth')
