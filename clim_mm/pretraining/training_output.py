"""A training in processes of its own: all that it prints in a file, its progress and what matters before the user."""

import re
import subprocess
from collections.abc import Callable, Sequence

from tqdm import tqdm

from clim_mm.distributed.end_process import starter_environment
from clim_mm.progress import progress_bar

_PLACE = re.compile(r'Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\].*?loss: ([\d.]+)')
_TOLD = re.compile(r'(Neighbours refreshed at epoch|Error: )|- (WARNING|ERROR) - (?!"|.*deprecated)')
_PREFIX = re.compile(r'^[\d/]+ [\d:]+ - mmengine - \w+ - ')


def followed(command: Sequence[str], log: str, epochs: int, say: Callable[[str], None]) -> int:
    """Run a training, and give its exit status.

    Args:
        log: Gets all that it prints, behind what is there.
        epochs: That it takes in all, for the bar.
        say: Takes the lines that a user should see meanwhile.
    """
    with open(log, 'a', encoding='utf-8') as file, progress_bar(total=epochs, desc='train', unit='epoch') as bar, \
            subprocess.Popen(command, env=starter_environment(), text=True, errors='replace', stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT) as training:
        assert training.stdout is not None
        for line in training.stdout:
            file.write(line)
            file.flush()
            if place := _PLACE.search(line):
                epoch, step, steps = map(int, place.groups()[:3])
                move(bar, epoch - 1 + step / steps, float(place[4]))
            elif _TOLD.search(line):
                bar.clear()
                say(_PREFIX.sub('', line.rstrip()))
        return training.wait()


def move(bar: tqdm, epochs: float, loss: float) -> None:
    """Let a bar stand at so many epochs, whole ones or not."""
    bar.set_postfix(loss=f'{loss:.3f}', refresh=False)
    bar.update(round(epochs, 2) - bar.n)
