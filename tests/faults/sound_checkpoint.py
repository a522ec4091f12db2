"""A sound checkpoint, and runs that are given a file made from it."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from kill_runs import differences
from malformed import Case, Outcome
from small_training import Training

from clim_mm.checkpoints import read_checkpoint

MARKER = 'this_ran'  # the file that smuggled code would make
_EPOCHS = 'train_cfg.max_epochs=2'


class Sound:
    """A checkpoint after the first of two epochs.

    Args:
        images: The folder that it is trained on.
        folder: Where to train.
    """

    def __init__(self, images: Path, folder: Path) -> None:
        training = Training(images, folder, options=[_EPOCHS])
        training.wait()
        if any(training.exit_codes):
            raise RuntimeError(f'The sound training failed:\n{training.output.read_text()[-3000:]}')
        self.images = images
        self.content = (folder / 'epoch_1.pth').read_bytes()
        self._work_dir = folder

    def holds(self) -> dict:
        """What it holds, in a copy of one's own."""
        return read_checkpoint(self._work_dir / 'epoch_1.pth')

    def resumed(self, name: str, make: Callable[[Path], bytes], options: Sequence[str] = (), says: str = '',
                may_be_sound: bool = False) -> Case:
        """A run that goes on from a file of what ``make(folder)`` gives."""
        return self.case(name, writing(make), options, says, may_be_sound)

    def started(self, name: str, make: Callable[[Path], bytes], options: Sequence[str] = (), says: str = '') -> Case:
        """A run that starts from the weights in a file of what ``make(folder)`` gives."""
        return self.case(name, writing(make), options, says, resume=False)

    def latest(self, name: str, contents: Sequence[bytes]) -> Case:
        """A run that goes on from the latest checkpoint of its work dir, where these have come one after another."""

        def start(folder: Path) -> Training:
            shutil.copytree(self._work_dir, folder / 'work')
            for number, content in enumerate(contents, 1):
                (folder / 'work' / f'epoch_{number}.pth').write_bytes(content)
            return Training(self.images, folder / 'work', resume=True, options=[_EPOCHS])

        expected = 'trained' if self.content in contents else 'error'
        return Case('checkpoints', f'latest: {name}', start, frozenset({expected}))

    def case(self, name: str, prepare: Callable[[Path], Any], options: Sequence[str] = (), says: str = '',
             may_be_sound: bool = False, resume: bool = True, change: Optional[Callable[[Path], Any]] = None,
             same: bool = True) -> Case:
        """A run in a copy of the sound run's work dir, that goes on or starts from ``given.pth`` beside it.

        Args:
            name: Of the case.
            prepare: Makes that file in a folder.
            options: Further ``--cfg-options``.
            says: Words of the error's sentence.
            may_be_sound: Whether it may be taken, too.
            resume: Whether the run goes on, or starts.
            change: Changes a copy of the images' folder.
            same: Whether the file must hold what the sound one does, if it is taken.
        """

        def start(folder: Path) -> Training:
            prepare(folder)
            shutil.copytree(self._work_dir, folder / 'work')
            images, given = self.images, folder / 'given.pth'
            if change is not None:
                images = shutil.copytree(self.images, folder / images.name)
                change(images)
            (folder / 'before').write_text(_digest(folder))
            more = [_EPOCHS, *options, *([] if resume else [f'load_from={given}'])]
            return Training(images, folder / 'work', resume=given if resume else False, options=more)

        def check(folder: Path, outcome: Outcome) -> str:
            if (folder / MARKER).exists():
                return 'code of the file ran'
            if outcome.kind == 'trained' and same and differences(self.holds(), read_checkpoint(folder / 'given.pth')):
                return 'it is taken, although it holds something else'
            if outcome.kind == 'error' and (folder / 'before').read_text() != _digest(folder):
                return 'something was overwritten'
            return ''

        allowed = {'error', 'trained'} if may_be_sound else {'error'}
        return Case('checkpoints', name, start, frozenset(allowed), says, check)


def writing(make: Callable[[Path], bytes]) -> Callable[[Path], Any]:
    """Writes ``given.pth`` into a folder."""
    return lambda folder: (folder / 'given.pth').write_bytes(make(folder))


def _digest(folder: Path) -> str:
    """Of what a run has to leave alone when it ends with an error."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob('work/*.pth'), *folder.glob('work/*.gz'), *folder.glob('work/*.jsonl'),
                        folder / 'given.pth']):
        digest.update(path.name.encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
