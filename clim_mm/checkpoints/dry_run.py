"""A pickle gone through without making anything of it, to see what it would take to make it.

A few bytes can ask for any amount of memory: a ``bytearray`` of a length, a tensor that repeats a single number, lists
that hold each other in doubled numbers. So each is gone through before ``torch.load`` sees it, with stand-ins for
whatever it calls.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.serialization import get_safe_globals

from .plain_data import ALLOWED, NotDataError, name_of

_SLACK, _FOLDS = 1 << 24, 16  # bytes, and how often a checkpoint may hold what its file does once [ours]

# What torch's reader of plain data knows.
_OPERANDS = frozenset(
    'APPEND APPENDS BINFLOAT BINGET BININT BININT1 BININT2 BINPERSID BINPUT BINUNICODE BUILD EMPTY_DICT EMPTY_LIST '
    'EMPTY_SET EMPTY_TUPLE GLOBAL LONG1 LONG_BINGET LONG_BINPUT MARK NEWFALSE NEWOBJ NEWTRUE NONE PROTO REDUCE SETITEM '
    'SETITEMS SHORT_BINSTRING STOP TUPLE TUPLE1 TUPLE2 TUPLE3'.split())
# Bytes that one byte or a few of them take, about [ours].
_COSTS = dict(EMPTY_DICT=64, EMPTY_LIST=56, EMPTY_SET=216, TUPLE=56, TUPLE1=48, TUPLE2=56, TUPLE3=64, MARK=56,
              BINUNICODE=50, LONG_BINPUT=100, REDUCE=800, NEWOBJ=800, BINPERSID=800)
# What it would call too, with sizes out of the file. No training saves these.
_REFUSED = re.compile(r'torch\.(\w+\.)*\w*Tensor|torch\._tensor\._rebuild_from_type_v2|'
                      r'torch\._utils\._rebuild_(?!tensor|parameter)\w+')
_TENSORS = ('torch._utils._rebuild_tensor', 'torch._utils._rebuild_tensor_v2', 'torch._utils._rebuild_tensor_v3')
_STORAGE = re.compile(r'torch\.(?:storage\.)?(\w+)Storage')
_ITEM_BYTES = dict(
    Untyped=1, Byte=1, Char=1, Bool=1, Short=2, Half=2, BFloat16=2, Int=4, Float=4, Long=8, Double=8, ComplexFloat=8,
    ComplexDouble=16, QInt8=1, QUInt8=1, QInt32=4, QUInt4x2=1, QUInt2x4=1)


class TooMuchError(Exception):
    """A file asks for more memory than what it holds takes."""


def check_pickle(data: bytes, room: int) -> None:
    """Go through a pickle of ``torch.save``.

    Args:
        data: The pickle.
        room: Bytes of the file that it is in.

    Raises:
        NotDataError: If it calls for what no training saves.
        TooMuchError: If what it makes would take much more memory than the file has bytes.
        Exception: Of any kind, if it is damaged.
    """
    run = _DryRun(data, room)
    for operand, argument, _ in pickletools.genops(data):
        if operand.name not in _OPERANDS:
            raise pickle.UnpicklingError(f'Unsupported operand {ord(operand.code)}')
        if operand.name in ('BINPUT', 'LONG_BINPUT') and int(argument or 0) > len(data):
            raise TooMuchError
        run.take(_COSTS.get(operand.name, 0))
    try:
        run.take(_unfolded(run.load(), {}))
    except RecursionError:
        raise TooMuchError from None  # nested as deep as no training saves anything


class _DryRun(pickle.Unpickler):
    """Makes a :class:`_Made` of whatever the pickle names."""

    def __init__(self, data: bytes, room: int) -> None:
        super().__init__(io.BytesIO(data), encoding='latin1')
        self._room, self._taken = room, 0
        self._storages: dict[str, int] = {}
        self._stand_ins: dict[str, type[_Made]] = {}
        ours = {name for _, name in ALLOWED}
        self._trusted = {name_of(entry) for entry in get_safe_globals()} - ours

    def take(self, number: int) -> None:
        """Count bytes that would be taken."""
        self._taken += number
        if self._taken > _FOLDS * self._room + _SLACK:
            raise TooMuchError

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in of its own, which knows the name."""
        full = f'{"builtins" if module == "__builtin__" else module}.{name}'
        if full not in self._trusted and _REFUSED.fullmatch(full):
            raise NotDataError(full)
        if full not in self._stand_ins:
            self._stand_ins[full] = type('_Made', (_Made, ), dict(name=full, run=self))
        return self._stand_ins[full]

    def persistent_load(self, pid: Any) -> '_Storage':
        """The bytes of tensors, of which there cannot be more than the file has."""
        _, kind, key, _, length, *_ = pid
        storage = _Storage(_item_bytes(kind.name), length)
        self._storages[repr(key)] = storage.bytes
        if length < 0 or sum(self._storages.values()) > self._room:
            raise TooMuchError
        return storage


class _Storage:
    """Stands for the bytes of tensors."""

    def __init__(self, item_bytes: int, length: int) -> None:
        self.item_bytes, self.bytes = item_bytes, item_bytes * length


class _Made:
    """Stands for what a name leads to, and for what that makes."""

    name = ''
    run: _DryRun
    bytes: int
    parts: list

    def __new__(cls, *args: Any) -> Any:
        if cls.name == '_codecs.encode' and (len(args) != 2 or type(args[0]) is not str or args[1] != 'latin1'):
            raise TooMuchError
        if cls.name == 'builtins.bytearray' and args and not isinstance(args[0], (str, bytes)):
            raise TooMuchError
        if _STORAGE.fullmatch(cls.name):
            raise TooMuchError
        cls.run.take(sum(map(_copied, args)))
        if cls.name == '_codecs.encode':
            return args[0].encode('latin1')
        made = super().__new__(cls)
        made.bytes = _tensor_bytes(cls.name, *args) if cls.name in _TENSORS else 0
        made.parts = [] if cls.name in _TENSORS else list(args)
        return made

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if self.name in _TENSORS or self.name.endswith('Parameter'):
            raise NotDataError('a tensor of an age before torch 0.4')
        self.run.take(_copied(state))
        self.parts.append(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.parts += [key, value]


def _item_bytes(name: str) -> int:
    found = _STORAGE.fullmatch(name)
    if found is None or found[1] not in _ITEM_BYTES:
        raise NotDataError(name)
    return _ITEM_BYTES[found[1]]


def _tensor_bytes(name: str, storage: _Storage, offset: int, size: tuple, stride: tuple, *more: Any) -> int:
    """Bytes of a tensor's values, each counted as often as it is repeated."""
    item = storage.item_bytes
    if name.endswith('_v3'):
        item = getattr(torch, more[2].name.removeprefix('torch.')).itemsize
    extent = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True)) + 1
    number = math.prod(size)
    if min(offset, 0, *size, *stride) < 0 or number and extent * item > storage.bytes:
        raise TooMuchError
    return number * item


def _copied(value: Any) -> int:
    """Bytes that a copy of a value takes, without what it refers to; of strings inside, these too."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, (list, tuple, set, dict)):
        return 16 * len(value) + sum(len(part) for part in value if isinstance(part, (str, bytes)))
    return 0


def _unfolded(value: Any, done: dict[int, int]) -> int:
    """Bytes of a value if what occurs in several places were there several times."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if id(value) in done:
        return done[id(value)]
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set)):
        parts = value
    elif isinstance(value, _Made):
        parts = value.parts
    done[id(value)] = 8  # also where a value holds itself
    done[id(value)] = 8 + getattr(value, 'bytes', 0) + sum(_unfolded(part, done) for part in parts)
    return done[id(value)]
