"""Checkpoints that are cut, altered, of something else, or that bring code."""

import copy
import gzip
import hashlib
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
from kill_runs import differences
from malformed import Case, Outcome
from small_training import Training

from clim_mm.checkpoints import read_checkpoint

EPOCHS = 'train_cfg.max_epochs=2'
REFUSED = frozenset({'error'})
MARKER = 'this_ran'  # the file that smuggled code would make
OTHER_MODELS = {
    'another depth': ['model.backbone.depth=34'],
    'another width': ['model.backbone.base_channels=8', 'model.neck.in_channels=64'],
    'another neck': ['model.neck.hid_channels=64'],
    'other keys': ['model.neck.out_channels=64', 'model.feat_dim=64'],
}


class Sound:
    """A checkpoint after the first of two epochs, and the images that it was trained on."""

    def __init__(self, images: Path, folder: Path) -> None:
        training = Training(images, folder, options=[EPOCHS])
        training.wait()
        if any(training.exit_codes):
            raise RuntimeError(f'The sound training failed:\n{training.output.read_text()[-3000:]}')
        self.images = images
        self.work_dir = folder
        self.path = folder / 'epoch_1.pth'
        self.content = self.path.read_bytes()

    def holds(self) -> dict:
        """What it holds, in a copy of one's own."""
        return read_checkpoint(self.path)


class Smuggled:
    """Is unpickled by making a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f'touch {self.marker}', )


class Foreign:
    """A class that a reader cannot know."""


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
        yield _resumed(f'cut at byte {cut}', sound, lambda folder, cut=cut: content[:cut])
        if number % 4 == 0:
            yield _started(f'weights cut at byte {cut}', sound, lambda folder, cut=cut: content[:cut])
    for _ in range(16):
        place, bit = rng.randrange(size), 1 << rng.randrange(8)
        yield _resumed(f'bit {bit} flipped at byte {place}', sound, lambda folder, place=place, bit=bit: (
            content[:place] + bytes([content[place] ^ bit]) + content[place + 1:]), may_be_sound=True)
    for _ in range(4):
        place = rng.randrange(size - 5000)
        yield _resumed(f'a hole at byte {place}', sound, lambda folder, place=place: (
            content[:place] + bytes(4096) + content[place + 4096:]), may_be_sound=True)
    yield _resumed('half of it twice', sound, lambda folder: content[:size // 2] * 2)
    for name in ('all damaged', 'the newest damaged'):
        yield _latest(name, sound, [content[:999]] * 2 if name == 'all damaged' else [content, content[:999]])


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
        yield _resumed(name, sound, lambda folder, make=make: make())
        yield _started(f'weights: {name}', sound, lambda folder, make=make: make())
    yield _case('a file that is not there', sound, lambda folder: None)
    yield _case('a folder', sound, lambda folder: (folder / 'given.pth').mkdir())
    yield _case('a link to nowhere', sound, lambda folder: (folder / 'given.pth').symlink_to('nothing'))
    yield _case('a link to itself', sound, lambda folder: (folder / 'given.pth').symlink_to('given.pth'))
    yield _case('a pipe', sound, lambda folder: os.mkfifo(folder / 'given.pth'))
    yield _case('a device', sound, lambda folder: (folder / 'given.pth').symlink_to('/dev/zero'))


def _code_cases(sound: Sound) -> Iterator[Case]:
    def with_part(part: Callable[[Path], Any], *place: str, old: bool = False) -> Callable[[Path], bytes]:
        return lambda folder: _saved(_with(sound.holds(), place, part(folder / MARKER)), old)

    for old in (False, True):
        form = ' in the old format' if old else ''
        for place in ('meta.time', 'state_dict.queue', 'more'):
            yield _resumed(f'os.system at {place}{form}', sound, with_part(Smuggled, *place.split('.'), old=old))
        yield _started(f'weights with os.system{form}', sound, with_part(Smuggled, 'more', old=old))
        yield _resumed(f'a foreign class{form}', sound, with_part(lambda _: Foreign(), 'more', old=old))
        yield _resumed(f'a path{form}', sound, with_part(lambda marker: marker, 'more', old=old))
        yield _resumed(f'a function{form}', sound, with_part(lambda _: os.path.join, 'more', old=old))
        yield _resumed(f'an array of objects{form}', sound,
                       with_part(lambda marker: np.array([Smuggled(marker)]), 'more', old=old))
    yield _resumed('a pickle of os.system alone', sound, lambda folder: pickle.dumps(Smuggled(folder / MARKER)))
    yield _resumed('os.system in an archive', sound, lambda folder: _archive(
        {'archive/data.pkl': pickle.dumps(Smuggled(folder / MARKER), 2), 'archive/version': b'3\n'}))
    yield _resumed('a module', sound, with_part(lambda _: torch.nn.Linear(2, 2), 'model'))
    # MMEngine would run this on resume. It is no part that a training needs.
    code = with_part(lambda marker: f'import os\nos.system("touch {marker}")\n', 'meta', 'config')
    yield _case('a config that is code', sound, _writing(code), may_be_sound=True, same=False)


def _other_models(sound: Sound) -> Iterator[Case]:
    for name, options in OTHER_MODELS.items():
        yield _resumed(f'of {name}', sound, lambda folder: sound.content, options, says='model')
        yield _started(f'weights of {name}', sound, lambda folder: sound.content, options, says='fit')
    yield _resumed('of another queue', sound, lambda folder: sound.content, ['model.queue_len=128'], says='queue')
    yield _resumed('of other positives', sound, lambda folder: sound.content,
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
        yield _case(f'images {change.__name__}', sound, _writing(lambda folder: sound.content), change=change,
                    says='training set')


def _lacking_cases(sound: Sound) -> Iterator[Case]:
    for place in ('state_dict', 'optimizer', 'param_schedulers', 'message_hub', 'meta', 'meta.epoch', 'meta.iter',
                  'neighbors', 'quarantine', 'manifest'):
        yield _altered(sound, f'without {place}', place, Gone, says=place)
    for place in ('state_dict.queue', 'state_dict.queue_ids', 'state_dict.queue_ptr', 'neighbors.table',
                  'neighbors.centroids', 'neighbors.table.positives', 'neighbors.table.version', 'quarantine.ids',
                  'optimizer.state', 'optimizer.param_groups', 'message_hub.log_scalars', 'message_hub.runtime_info'):
        yield _altered(sound, f'without {place}', place, Gone)


def _altered_cases(sound: Sound) -> Iterator[Case]:
    positives = sound.holds()['neighbors']['table']['positives']
    weight = next(name for name, value in sound.holds()['state_dict'].items() if value.dim() == 4)
    state = sound.holds()['state_dict']
    values: dict[str, list] = {
        'meta': [None, 3, 'text', []], 'meta.epoch': ['1', None, -1, 1.5, math.nan, True, [1]],
        'meta.iter': ['6', None, -1, 6.5, [6]], 'meta.seed': ['0', -1, 1.5, 2**40],
        'message_hub': [None, 3, 'text', {}], 'optimizer': [None, 3, 'text', {}, []],
        'optimizer.param_groups': [None, 3, [], 'text'], 'optimizer.state': [None, 3, 'text'],
        'param_schedulers': [None, 3, 'text', [], {}],
        'neighbors': [None, 3, 'text', {}, []], 'neighbors.table': [None, 3, 'text', {}],
        'neighbors.table.positives': [
            None, 3, 'text', positives.float(), positives.long(), positives[:-1], positives[:, :-1], positives[0],
            positives + 100, positives - 2, torch.full_like(positives, -2), positives.numpy()],
        'neighbors.table.version': [None, 'text', torch.tensor([-1]), torch.tensor([1, 2]), torch.tensor([1.5])],
        'neighbors.centroids': [3, 'text', torch.zeros(3), torch.full((6, 128), math.nan)],
        'quarantine': [None, 3, 'text', {}, []], 'quarantine.ids': [None, [100], [-1], ['a'], [1.5]],
        'quarantine.entries': [None, [3], ['a', 'b']], 'manifest': [3, 'text', '', {}],
        'state_dict': [None, 3, [], {}], 'state_dict.queue': [
            None, 'text', state['queue'][:, :-1], state['queue'][:-1], state['queue'].long(), state['queue'] * math.nan,
            state['queue'] * math.inf],
        'state_dict.queue_ids': [None, state['queue_ids'] + 10**6, state['queue_ids'].float(), state['queue_ids'][:-1]],
        'state_dict.queue_ptr': [None, torch.tensor([10**6]), torch.tensor([-5]), torch.tensor([0.5]), torch.tensor(0)],
        f'state_dict.{weight}': [None, 'text', state[weight] * math.nan, state[weight][:1], state[weight].bool()],
    }
    for place, alternatives in values.items():
        for value in alternatives:
            shown = f'{tuple(value.shape)} {value.dtype}' if hasattr(value, 'dtype') else repr(value)
            yield _altered(sound, f'{place} = {shown}', place, value)
    for name, number in (('NaN', math.nan), ('infinity', -math.inf)):
        yield _started(f'weights of {name}', sound, lambda folder, number=number: _saved(
            _with(sound.holds(), ['state_dict', weight], state[weight] * number)), says='NaN')
    yield _resumed('a momentum of NaN', sound, lambda folder: _saved(_with_broken_momentum(sound.holds())), says='NaN')


class Gone:
    """Stands for a part that is taken out."""


def _altered(sound: Sound, name: str, place: str, value: Any, says: str = '') -> Case:
    keys = place.split('.', 1) if place.startswith('state_dict') else place.split('.')
    return _resumed(name, sound, lambda folder: _saved(_with(sound.holds(), keys, copy.deepcopy(value))), says=says)


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


def _with_broken_momentum(checkpoint: dict) -> dict:
    next(iter(checkpoint['optimizer']['state'].values()))['momentum_buffer'].fill_(math.nan)
    return checkpoint


def _saved(value: Any, old: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


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


def _resumed(name: str, sound: Sound, make: Callable[[Path], bytes], options: Any = (), says: str = '',
             may_be_sound: bool = False) -> Case:
    return _case(name, sound, _writing(make), options, says, may_be_sound)


def _started(name: str, sound: Sound, make: Callable[[Path], bytes], options: Any = (), says: str = '') -> Case:
    return _case(name, sound, _writing(make), options, says, resume=False)


def _writing(make: Callable[[Path], bytes]) -> Callable[[Path], Any]:
    return lambda folder: (folder / 'given.pth').write_bytes(make(folder))


def _case(name: str, sound: Sound, prepare: Callable[[Path], Any], options: Any = (), says: str = '',
          may_be_sound: bool = False, resume: bool = True, change: Any = None, same: bool = True) -> Case:
    """A run in a copy of the sound run's work dir, that goes on or starts from ``given.pth`` beside it.

    ``same``: what may be sound must hold what the sound one does.
    """

    def start(folder: Path) -> Training:
        prepare(folder)
        shutil.copytree(sound.work_dir, folder / 'work')
        images = sound.images
        if change is not None:
            images = shutil.copytree(sound.images, folder / images.name)
            change(images)
        (folder / 'before').write_text(_digest(folder))
        given = folder / 'given.pth'
        more = [EPOCHS, *options, *([] if resume else [f'load_from={given}'])]
        return Training(images, folder / 'work', resume=given if resume else False, options=more)

    def check(folder: Path, outcome: Outcome) -> str:
        if (folder / MARKER).exists():
            return 'code of the file ran'
        if outcome.kind == 'trained' and same and differences(sound.holds(), read_checkpoint(folder / 'given.pth')):
            return 'it is taken, although it holds something else'
        if outcome.kind == 'error' and (folder / 'before').read_text() != _digest(folder):
            return 'something was overwritten'
        return ''

    return Case('checkpoints', name, start, frozenset({'error', 'trained'}) if may_be_sound else REFUSED, says, check)


def _latest(name: str, sound: Sound, contents: list[bytes]) -> Case:
    """A run that goes on from the latest checkpoint of its work dir."""

    def start(folder: Path) -> Training:
        shutil.copytree(sound.work_dir, folder / 'work')
        for number, content in enumerate(contents, 1):
            (folder / 'work' / f'epoch_{number}.pth').write_bytes(content)
        return Training(sound.images, folder / 'work', resume=True, options=[EPOCHS])

    usable = sound.content in contents
    return Case('checkpoints', f'latest: {name}', start, frozenset({'trained'}) if usable else REFUSED)


def _digest(folder: Path) -> str:
    """Of what a run has to leave alone when it ends with an error."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob('work/*.pth'), *folder.glob('work/*.gz'), *folder.glob('work/*.jsonl'),
                        folder / 'given.pth']):
        digest.update(path.name.encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
