"""Small files that ask for much memory are refused before any of it is taken; sound ones are not."""

import io
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from gloo import on_processes
from measured_memory import peak_bytes_of

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.config_text import settings_of
from clim_mm.errors import CheckpointError, DamagedCheckpoint

MANY = 2**31 - 1
INT = b'J' + struct.pack('<i', MANY)
REFUSALS = ' needs .* not plain data| asks for much more memory than its '
EXPANDED = torch.zeros(1).expand(2**34)


def text(word):
    return b'X' + struct.pack('<I', len(word.encode())) + word.encode()


def call(name, *arguments):
    """Pickle of a call; ``name`` as in ``builtins.bytearray``."""
    module, _, function = name.rpartition('.')
    return f'c{module}\n{function}\n('.encode() + b''.join(arguments) + b'tR'


def doubled(times):
    """Lists of lists, each of which holds the one before it twice."""
    lists = b']q\x00'
    for number in range(1, times):
        lists += b'](' + 2 * (b'h' + bytes([number - 1])) + b'eq' + bytes([number])
    return b'](' + lists + b'e'


def hexed(times):
    """A text whose bytes are written in twice as many, again and again."""
    encoded = call('_codecs.encode', text('a'), text('latin1'))
    for _ in range(times):
        encoded = call('_codecs.encode', encoded, text('hex'))
    return encoded


def copies(of, one):
    """A list of a value, which has the place 0, and of a thousand copies of it."""
    return b'](' + of + b'q\x00' + 1000 * one + b'e'


ENCODED = call('_codecs.encode', b'h\x00', text('latin1'))
ARRAY = (b'cnumpy\nndarray\n)\x81(K\x01(J\xa0\x86\x01\x00tcnumpy\ndtype\n' + text('S1') + b'\x85R\x89' + ENCODED +
         b'tb')
PICKLES = {
    'a length': call('builtins.bytearray', INT),
    'a length by its old name': call('__builtin__.bytearray', INT),
    'a tensor of a length': call('torch.FloatTensor', INT),
    'a tensor by its class': call('torch.Tensor', INT, INT),
    'a storage of a length': call('torch.storage.UntypedStorage', INT),
    'hexadecimal': hexed(40),
    'copies of a text': copies(text('a' * 100_000), ENCODED),
    'copies of a list': copies(b'](' + b'K\x01' * 10_000 + b'e', call('builtins.set', b'h\x00')),
    'copies of an array': copies(text('a' * 100_000), ARRAY),
    'lists of lists': doubled(60),
    'many sets': b'](' + 200_000 * b'\x8f' + b'e',
    'many things': copies(b'(ccollections\nOrderedDict\nq\x01)t', 49 * b'h\x01)R'),
    'nesting': b')' + b'\x85' * 50_000,
    'a place far off': b'Nr' + struct.pack('<I', 2**32 - 1),
}
VALUES = {
    'a number that is repeated': EXPANDED,
    'numbers that are repeated': torch.zeros(200_000).as_strided((100_000, 100_000), (1, 1)),
    'a number that is repeated in a parameter': torch.nn.Parameter(EXPANDED),
    'many that are repeated': [torch.zeros(1).expand(10**6) for _ in range(100)],
    'sparse': torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.int64), torch.ones(1), (2**34, )),
    'on no device': torch.empty(2**34, device='meta'),
}


def write_crafted(path, made, archive=True):
    """A checkpoint whose one value a pickle makes."""
    data = b'\x80\x02}' + text('x') + made + b's.'
    if not archive:
        parts = [torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION, dict(little_endian=True)]
        path.write_bytes(b''.join(pickle.dumps(part, 2) for part in parts) + data + pickle.dumps([], 2))
        return path
    buffer = io.BytesIO()
    torch.save(dict(x=torch.zeros(1)), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, 'w') as target:
        for name in source.namelist():
            target.writestr(name, data if name.endswith('data.pkl') else source.read(name))
    return path


@pytest.mark.parametrize('archive', [True, False], ids=['archive', 'old format'])
@pytest.mark.parametrize('name', PICKLES)
def test_pickles_that_ask_for_memory(tmp_path, name, archive):
    path = write_crafted(tmp_path / 'bad.pth', PICKLES[name], archive)
    assert path.stat().st_size < 500_000
    with pytest.raises(CheckpointError, match=REFUSALS) as caught:
        read_checkpoint(path)
    assert not isinstance(caught.value, DamagedCheckpoint)


@pytest.mark.parametrize('archive', [True, False], ids=['archive', 'old format'])
@pytest.mark.parametrize('name', VALUES)
def test_tensors_that_are_larger_than_their_file(tmp_path, name, archive):
    torch.save(dict(x=VALUES[name]), tmp_path / 'bad.pth', _use_new_zipfile_serialization=archive)
    with pytest.raises(CheckpointError, match=REFUSALS):
        read_checkpoint(tmp_path / 'bad.pth')


@pytest.mark.parametrize('archive', [True, False], ids=['archive', 'old format'])
@pytest.mark.parametrize('old, new', [
    (b'K\x07tq', b'J' + struct.pack('<i', MANY) + b'tq'),  # the length of the storage
    (b'K\x07\x85', b'J' + struct.pack('<i', MANY) + b'\x85'),  # of the tensor
])
def test_lengths_that_are_not_those_of_the_values(tmp_path, old, new, archive):
    path = tmp_path / 'bad.pth'
    torch.save(dict(x=torch.zeros(7)), path, _use_new_zipfile_serialization=archive)
    whole = path.read_bytes()
    if archive:
        with zipfile.ZipFile(path) as source:
            content = {name: source.read(name) for name in source.namelist()}
        with zipfile.ZipFile(path, 'w') as target:
            for name, data in content.items():
                target.writestr(name, data.replace(old, new))
    else:
        path.write_bytes(whole.replace(old, new).replace(old.replace(b'tq', b'Ntq'), new.replace(b'tq', b'Ntq')))
    assert new in path.read_bytes() or new.replace(b'tq', b'Ntq') in path.read_bytes()
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


def repacked(source, path, **options):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, 'w', **options) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return path


def test_a_compressed_archive_is_refused(tmp_path):
    torch.save(dict(x=torch.zeros(10**6)), tmp_path / 'sound.pth')
    assert read_checkpoint(repacked(tmp_path / 'sound.pth', tmp_path / 'stored.pth'))['x'].shape == (10**6, )
    path = repacked(tmp_path / 'sound.pth', tmp_path / 'small.pth', compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    with pytest.raises(CheckpointError, match='small.pth is compressed, which torch.save does to no file: unpack it'):
        read_checkpoint(path)


def test_entries_that_lie_upon_each_other_are_refused(tmp_path):
    path = tmp_path / 'bad.pth'
    torch.save(dict(x=torch.zeros(1000)), path)
    with zipfile.ZipFile(path, 'a') as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        for number in range(100):
            entry = zipfile.ZipInfo(f'bad/data/{number + 1}')
            for name in ('header_offset', 'file_size', 'compress_size', 'CRC'):
                setattr(entry, name, getattr(largest, name))
            archive.filelist.append(entry)
        archive._didModify = True
    with pytest.raises(DamagedCheckpoint, match='lie upon each other'):
        read_checkpoint(path)


def test_the_text_of_a_config_has_an_end():
    with pytest.raises(CheckpointError, match='The config in the checkpoint'):
        settings_of('a = [' + '1,' * 10**6 + ']')


WINDOWS = torch.arange(8.)
SOUND = dict(
    expanded=torch.arange(3).expand(4, 3), transposed=torch.arange(6.).reshape(2, 3).T, tied=[WINDOWS] * 3,
    parts=[WINDOWS[i:] for i in range(8)], empty=torch.zeros(0, 5), scalar=torch.tensor(3), half=torch.ones(3).half(),
    small=torch.ones(3, dtype=torch.uint16), kinds=[torch.ones(2, dtype=kind) for kind in (
        torch.bool, torch.int8, torch.int16, torch.int32, torch.int64, torch.float64, torch.bfloat16, torch.complex64)],
    parameter=torch.nn.Parameter(torch.ones(2)), counter=Counter({3: 1}), array=np.zeros((3, 4)),
    ordered=OrderedDict(a=1), bytes_=b'a' * 1000, more=bytearray(b'a' * 1000), names={'a', 'b'})


@pytest.mark.parametrize('name, archive', [
    *((name, True) for name in SOUND), *((name, False) for name in SOUND if name != 'small')])  # the old knows none
def test_sound_values_are_read(tmp_path, name, archive):
    torch.save(dict(x=SOUND[name]), tmp_path / 'sound.pth', _use_new_zipfile_serialization=archive)
    read = read_checkpoint(tmp_path / 'sound.pth')['x']
    for one, other in zip(*([value] if isinstance(value, torch.Tensor) else value for value in (read, SOUND[name])),
                          strict=True):
        assert type(one) is type(other) and np.array_equal(one, other) if not hasattr(other, 'dtype') else (
            one.dtype == other.dtype and one.tolist() == other.tolist())


def test_what_the_user_allows_is_not_refused(tmp_path):
    torch.save(dict(x=VALUES['sparse']), tmp_path / 'sparse.pth')
    with torch.serialization.safe_globals([torch._utils._rebuild_sparse_tensor]):
        assert read_checkpoint(tmp_path / 'sparse.pth')['x'].shape == (2**34, )


def peak_of_all(folder):
    def read(name):
        try:
            read_checkpoint(folder / name)
        except CheckpointError:
            return
        raise AssertionError(name)

    def read_all():
        for name in names:
            read(name)

    names = []
    for archive in (True, False):
        for number, made in enumerate(PICKLES.values()):
            names.append(write_crafted(folder / f'pickle_{number}_{archive}.pth', made, archive).name)
        for number, value in enumerate(VALUES.values()):
            torch.save(dict(x=value), folder / f'{number}_{archive}.pth', _use_new_zipfile_serialization=archive)
            names.append(f'{number}_{archive}.pth')
    torch.save(dict(x=torch.zeros(4 * 10**7)), folder / 'large.pth')
    names.append(repacked(folder / 'large.pth', folder / 'small.pth', compression=zipfile.ZIP_DEFLATED).name)
    read(names[0])
    return peak_bytes_of(read_all)


@pytest.mark.e2e
def test_they_take_no_memory(tmp_path):
    (peak, ) = on_processes(1, peak_of_all, tmp_path, init=False)
    if peak is None:
        pytest.skip('the system does not tell')
    assert peak < 100 * 2**20
