"""Checkpoints of real trainings by ``tools/train.py``, made once for all tests that need one.

They are kept between runs under a key of the code that made them, and are read-only by agreement: who changes one takes
a copy of its folder.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from forked import ROOT
from PIL import Image

IN1K = 'configs/clim/clim_r50_16xb32-1200e_in1k.py'
DIGITS = 'configs/clim/clim_r18_1xb32-20e_digits.py'
_MAKES = ('clim_mm/**/*.py', 'configs/**/*.py', 'tools/*.py', 'tests/trained.py')

# A ResNet-18 of an eighth of the channels, and few keys.
SLIM = ('model.backbone.depth=18', 'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
        'model.neck.in_channels=64', 'model.queue_len=64')
# The main config, small enough for a CPU: that network on small views.
SMALL = (
    *SLIM, 'train_dataloader.batch_size=8', 'train_dataloader.num_workers=1',
    'train_dataloader.dataset.pipeline.0.view.0.resolutions=(48,32)', 'extract.pipeline.1.edge=56',
    'extract.pipeline.1.crop_size=48', 'extract.num_workers=1',
    'default_hooks.neighbors.interval=1', 'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=5',
    'default_hooks.preflight.seconds=0', 'randomness.seed=0')
FULL_WIDTH = ('model.backbone.stem_channels=64', 'model.backbone.base_channels=64')


@dataclass(frozen=True)
class Kind:
    """A training.

    Attributes:
        options: Beside those of ``SMALL``, which the main config gets.
        epochs: How long; the last one ends with a checkpoint.
        config: The config, by its path in the repository.
        more: What is added to it.
    """

    options: Sequence[str] = ()
    epochs: int = 1
    config: str = IN1K
    more: str = ''


KINDS = dict(
    # Started with --resume in an empty folder, and with a page after each refresh.
    small=Kind(epochs=2,
               more="custom_hooks = [dict(type='NeighborPageHook', num_anchors=60)]\n"),
    resnet18=Kind((*FULL_WIDTH, 'model.neck.in_channels=512')),
    resnet50=Kind((
        *FULL_WIDTH, 'model.backbone.depth=50', 'model.neck.in_channels=2048', 'train_dataloader.batch_size=64',
        'train_dataloader.dataset.pipeline.0.view.0.resolutions=(32,24)',
        'extract.pipeline.1.edge=40', 'extract.pipeline.1.crop_size=32')),
    digits=Kind(('default_hooks.checkpoint.interval=2', 'default_hooks.preflight.seconds=0'), 2, DIGITS))


@dataclass(frozen=True)
class Trained:
    """What a training has left.

    Attributes:
        images: The folder that it trained on.
        config: The config file.
        work_dir: Its work dir.
        output: What it has printed.
    """

    images: Path
    config: Path
    work_dir: Path
    output: str

    def checkpoint(self, epoch: int = 1) -> Path:
        """The one after so many epochs."""
        return self.work_dir / f'epoch_{epoch}.pth'


def write_imagenet_like(root: Path) -> None:
    """A folder in ImageNet's layout: 203 JPEGs of five classes, sizes all different."""
    rng = np.random.default_rng(0)
    for number in range(203):
        label = number % 5
        folder = root / 'train' / f'n{label:08d}'
        folder.mkdir(parents=True, exist_ok=True)
        coarse = 0.5 * rng.random((4, 6, 3)) + 0.5 * np.array([label / 5, 1 - label / 5, 0.5])
        size = int(rng.integers(90, 130)), int(rng.integers(70, 100))
        image = Image.fromarray((coarse * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / f'{number:04d}.JPEG')


def write_digits(root: Path) -> None:
    """scikit-learn's digits, as tools/prepare_digits.py writes them."""
    sys.path.insert(0, str(ROOT / 'tools'))
    try:
        import prepare_digits
    finally:
        sys.path.remove(str(ROOT / 'tools'))
    prepare_digits.write_digits(str(root))


class Shelf:
    """The folder in which images and trainings are kept, for several pytest processes at once.

    Args:
        folder: For all versions of the code; those of other versions are thrown away.
    """

    def __init__(self, folder: Path) -> None:
        version = hashlib.sha256(f'{torch.__version__} {sys.version} {ROOT}'.encode())
        for path in sorted(path for pattern in _MAKES for path in ROOT.glob(pattern)):
            version.update(path.read_bytes())
        self._folder = folder / version.hexdigest()[:16]
        with FileLock(folder / 'lock'):
            for other in folder.iterdir():
                if other.is_dir() and other != self._folder:
                    shutil.rmtree(other)
            self._folder.mkdir(exist_ok=True)

    def made(self, name: str, make: Callable[[Path], None]) -> Path:
        """The path ``name``, at which ``make`` has written all that it writes."""
        path, whole = self._folder / name, self._folder / f'{name}.whole'
        with FileLock(self._folder / f'{name}.lock'):
            if not whole.exists():
                shutil.rmtree(path, ignore_errors=True)
                make(path)
                whole.touch()
        return path
