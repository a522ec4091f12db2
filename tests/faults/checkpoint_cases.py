"""Checkpoints that are cut, altered, of something else, or that bring code."""

import copy
import gzip
import io
import math
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from malformed import Case
from sound_checkpoint import MARKER, Sound, writing

OTHER_MODELS = {
    'another depth': ['model.backbone.depth=34'],
    'another width': ['model.backbone.base_channels=8', 'model.neck.in_channels=64'],
    'another neck': ['model.neck.hid_channels=64'],
    'other keys': ['model.neck.out_channels=64', 'model.feat_dim=64'],
}


class Smuggled:
    """Is unpickled by making a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f'touch {self.marker}', )


class Foreign:
    """A class that a reader cannot know."""


class Gone:
    """Stands for a part that is taken out."""


def checkpoint_cases(sound: Sound, rng: random.Random) -> Iterator[Case]:
    """All of them."""
    yield from _damaged_cases(sound, rng)
    yield from _other_files(sound)
    yield from _code_cases(sound)
    yield from _other_models(sound)
    yield from _other_images(sound)
    yield from _lacking_cases(sound)
    yield from _altered_cases(sound)


def _damaged_cases(sound: Sound, rng: random.Random) -> Iterator[Case]:
    content, size = sound.content, len(sound.content)
    for number in range(24):
        cut = rng.randrange(size)
        yield sound.resumed(f'cut at byte {cut}', lambda folder, cut=cut: content[:cut])
        if number % 4 == 0:
            yield sound.started(f'weights cut at byte {cut}', lambda folder, cut=cut: content[:cut])
    for _ in range(16):
        place, bit = rng.randrange(size), 1 << rng.randrange(8)
        yield sound.resumed(f'bit {bit} flipped at byte {place}', lambda folder, place=place, bit=bit: (
            content[:place] + bytes([content[place] ^ bit]) + content[place + 1:]), may_be_sound=True)
    for _ in range(4):
        place = rng.randrange(size - 5000)
        yield sound.resumed(f'a hole at byte {place}', lambda folder, place=place: (
            content[:place] + bytes(4096) + content[place + 4096:]), may_be_sound=True)
    yield sound.resumed('half of it twice', lambda folder: content[:size // 2] * 2)
    for name in ('all damaged', 'the newest damaged'):
        yield sound.latest(name, [content[:999]] * 2 if name == 'all damaged' else [content, content[:999]])


def _other_files(sound: Sound) -> Iterator[Case]:
    contents: dict[str, Callable[[], bytes]] = {
        'an empty file': lambda: b'', 'a line break': lambda: b'\n', 'a text': lambda: b'hello world\n' * 99,
        'zeros': lambda: bytes(9999), 'a picture': lambda: next(sound.images.rglob('*.png')).read_bytes(),
        'an archive of something else': lambda: _archive({'a.txt': b'a'}), 'an empty archive': lambda: _archive({}),
        'an archive with a bad pickle': lambda: _archive({'archive/data.pkl': b'\x80\x02garbage.'}),
        'a program': lambda: _archive({'archive/data.pkl': pickle.dumps({}), 'archive/constants.pkl': b''}),
        'a compressed checkpoint': lambda: gzip.compress(sound.content, 1), 'arrays': _arrays,
        'a list': lambda: _saved([1, 2]), 'a tensor': lambda: _saved(torch.zeros(3)), 'a number': lambda: _saved(3),
        'no dictionary of weights': lambda: _saved(dict(state_dict=[1])), 'nothing in it': lambda: _saved({}),
        'weights of nothing': lambda: _saved(dict(state_dict={})),
        'pickled without torch': lambda: pickle.dumps(dict(state_dict={})),
    }
    for name, make in contents.items():
        yield sound.resumed(name, lambda folder, make=make: make())
        yield sound.started(f'weights: {name}', lambda folder, make=make: make())
    yield sound.case('a file that is not there', lambda folder: None)
    yield sound.case('a folder', lambda folder: (folder / 'given.pth').mkdir())
    yield sound.case('a link to nowhere', lambda folder: (folder / 'given.pth').symlink_to('nothing'))
    yield sound.case('a link to itself', lambda folder: (folder / 'given.pth').symlink_to('given.pth'))
    yield sound.case('a pipe', lambda folder: os.mkfifo(folder / 'given.pth'))
    yield sound.case('a device', lambda folder: (folder / 'given.pth').symlink_to('/dev/zero'))


def _code_cases(sound: Sound) -> Iterator[Case]:
    def with_part(part: Callable[[Path], Any], *place: str, old: bool = False) -> Callable[[Path], bytes]:
        return lambda folder: _saved(_with(sound.holds(), place, part(folder / MARKER)), old)

    for old in (False, True):
        form = ' in the old format' if old else ''
        for place in (('meta', 'time'), ('state_dict', 'queue.keys'), ('more', )):
            yield sound.resumed(f'os.system at {".".join(place)}{form}', with_part(Smuggled, *place, old=old))
        yield sound.started(f'weights with os.system{form}', with_part(Smuggled, 'more', old=old))
        yield sound.resumed(f'a foreign class{form}', with_part(lambda _: Foreign(), 'more', old=old))
        yield sound.resumed(f'a path{form}', with_part(lambda marker: marker, 'more', old=old))
        yield sound.resumed(f'a function{form}', with_part(lambda _: os.path.join, 'more', old=old))
        yield sound.resumed(f'an array of objects{form}',
                       with_part(lambda marker: np.array([Smuggled(marker)]), 'more', old=old))
    yield sound.resumed('a pickle of os.system alone', lambda folder: pickle.dumps(Smuggled(folder / MARKER)))
    yield sound.resumed('os.system in an archive', lambda folder: _archive(
        {'archive/data.pkl': pickle.dumps(Smuggled(folder / MARKER), 2), 'archive/version': b'3\n'}))
    yield sound.resumed('a module', with_part(lambda _: torch.nn.Linear(2, 2), 'model'))
    # MMEngine would run this on resume. It is no part that a training needs.
    code = with_part(lambda marker: f'import os\nos.system("touch {marker}")\n', 'meta', 'config')
    yield sound.case('a config that is code', writing(code), may_be_sound=True, same=False)


def _other_models(sound: Sound) -> Iterator[Case]:
    for name, options in OTHER_MODELS.items():
        yield sound.resumed(f'of {name}', lambda folder: sound.content, options, says='model')
        yield sound.started(f'weights of {name}', lambda folder: sound.content, options, says='fit')
    yield sound.resumed('of another queue', lambda folder: sound.content, ['model.queue_len=128'], says='queue')
    yield sound.resumed('of other positives', lambda folder: sound.content,
                   ['train_dataloader.dataset.num_positives=3'], says='neighbours')


def _other_images(sound: Sound) -> Iterator[Case]:
    def fewer(images: Path) -> None:
        next(images.rglob('*.png')).unlink()

    def more(images: Path) -> None:
        shutil.copy(next(images.rglob('*.png')), images / '5' / 'more.png')

    def renamed(images: Path) -> None:
        next(images.rglob('*.png')).rename(images / '9' / 'renamed.png')

    def resized(images: Path) -> None:
        with next(images.rglob('*.png')).open('ab') as file:
            file.write(b'more')

    for change in (fewer, more, renamed, resized):
        yield sound.case(f'images {change.__name__}', writing(lambda folder: sound.content), change=change,
                         says='training set')


def _lacking_cases(sound: Sound) -> Iterator[Case]:
    for place in ('state_dict', 'optimizer', 'message_hub', 'meta', 'meta.epoch', 'meta.iter',
                  'neighbors', 'quarantine', 'manifest'):
        yield _altered(sound, f'without {place}', place, Gone, says=place)
    for place in ('state_dict.queue.keys', 'state_dict.queue.ids', 'state_dict.queue.pointer', 'neighbors.table',
                  'neighbors.centroids', 'neighbors.table.positives', 'neighbors.table.version', 'quarantine.ids',
                  'optimizer.state', 'optimizer.param_groups', 'message_hub.log_scalars', 'message_hub.runtime_info'):
        yield _altered(sound, f'without {place}', place, Gone)


def _altered_cases(sound: Sound) -> Iterator[Case]:
    positives = sound.holds()['neighbors']['table']['positives']
    weight = next(name for name, value in sound.holds()['state_dict'].items() if value.dim() == 4)
    state = sound.holds()['state_dict']
    keys, ids = state['queue.keys'], state['queue.ids']
    values: dict[str, list] = {
        'meta': [None, 3, 'text', []], 'meta.epoch': ['1', None, 1.5, math.nan, [1]],
        'meta.iter': ['6', None, 6.5, [6]],
        'message_hub': [None, 3, 'text', {}], 'optimizer': [None, 3, 'text', {}, []],
        'message_hub.log_scalars': [None, 3, 'text'], 'message_hub.runtime_info': [None, 3, 'text'],
        'optimizer.param_groups': [None, 3, [], 'text', [3]], 'optimizer.state': [None, 3, 'text'],
        'optimizer.param_groups.0.params': [None, 3, [], [0], ['a']],
        'neighbors': [None, 3, 'text', {}, []], 'neighbors.table': [None, 3, 'text', {}],
        'neighbors.table.positives': [
            None, 3, 'text', positives.float(), positives.long(), positives[:-1], positives[:, :-1], positives[0],
            positives + 100, positives - 2, torch.full_like(positives, -2), positives.numpy()],
        'neighbors.table.version': [None, 'text', torch.tensor([-1]), torch.tensor([1, 2]), torch.tensor([1.5])],
        'neighbors.centroids': [3, 'text'],
        'quarantine': [None, 3, 'text', {}, []], 'quarantine.ids': [None, [100], [-1], ['a'], [1.5]],
        'quarantine.entries': [None, [3], ['a', 'b']], 'manifest': [3, 'text', '', {}],
        'state_dict': [None, 3, [], {}],
        'state_dict.queue.keys': [
            None, 'text', keys[:, :-1], keys[:-1], keys.long(), keys * math.nan, keys * math.inf],
        'state_dict.queue.ids': [None, ids.float(), ids[:-1]],
        'state_dict.queue.pointer': [None, torch.tensor([0.5]), torch.tensor(0)],
        f'state_dict.{weight}': [None, 'text', state[weight] * math.nan, state[weight][:1], state[weight].bool()],
    }
    for place, alternatives in values.items():
        for value in alternatives:
            shown = f'{tuple(value.shape)} {value.dtype}' if hasattr(value, 'dtype') else repr(value)
            yield _altered(sound, f'{place} = {shown}', place, value)
    for name, number in (('NaN', math.nan), ('infinity', -math.inf)):
        yield sound.started(f'weights of {name}', lambda folder, number=number: _saved(
            _with(sound.holds(), ['state_dict', weight], state[weight] * number)), says='NaN')
    yield sound.resumed('a momentum of NaN', lambda folder: _saved(_with_broken_momentum(sound.holds())), says='NaN')


def _altered(sound: Sound, name: str, place: str, value: Any, says: str = '') -> Case:
    keys: list[Any] = place.split('.', 1) if place.startswith('state_dict') else place.split('.')
    keys = [int(key) if key.isdigit() else key for key in keys]  # of a list, or of a weight
    return sound.resumed(name, lambda folder: _saved(_with(sound.holds(), keys, copy.deepcopy(value))), says=says)


def _with(value: Any, place: Any, new: Any) -> Any:
    *above, last = place
    owner = value
    for key in above:
        owner = owner[key]
    if new is Gone:
        del owner[last]
    else:
        owner[last] = new
    return value


def _saved(value: Any, old: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


def _with_broken_momentum(checkpoint: dict) -> dict:
    next(iter(checkpoint['optimizer']['state'].values()))['momentum_buffer'].fill_(math.nan)
    return checkpoint


def _archive(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as target:
        for name, content in files.items():
            target.writestr(name, content)
    return file.getvalue()


def _arrays() -> bytes:
    file = io.BytesIO()
    np.savez(file, weight=np.zeros(3))
    return file.getvalue()
