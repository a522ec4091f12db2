"""Folders and lists with malformed images, as the training meets them."""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from bad_images import BadImage, bad_images
from malformed import SECONDS, Case, Outcome, Result, outcome_of
from small_training import Training

from clim_mm.datasets import LoadImage
from clim_mm.errors import UnreadableImage, printable

SOURCE = 'train_dataloader.dataset.dataset'
ONE_EPOCH = ('train_cfg.max_epochs=1', )
ALMOST_ALL = ('train_dataloader.dataset.max_unreadable=0.9', )

# Places below the folder of images, and where they lead.
LOOPS = {
    'a link to the folder above': {'0/up': '..'},
    'two links to the folder above': {'0/up': '..', '1/up': '..'},
    'a link to its own folder': {'0/self': '.'},
    'a link far up': {'0/far': '../../..'},
}


def one_folder(good: Path, folder: Path, rng: random.Random) -> Iterator[Result]:
    """A training on good images and all the bad ones: each of these is in the quarantine, or is read as it is."""
    images = shutil.copytree(good, folder / 'images')
    bad = list(bad_images(rng))
    for image in bad:
        (images / image.name).write_bytes(image.content)
    options = (*ONE_EPOCH, *ALMOST_ALL, f'{SOURCE}.type=ImageFolder')
    outcome, listed = _train(Training(images, folder / 'work', options=options))
    for image in bad:
        yield _judged(image, f'{images}/{image.name}', outcome, listed)


def one_list(good: Path, folder: Path) -> Iterator[Result]:
    """A training on a list of good images, and of what is no file: each is in the quarantine."""
    images = shutil.copytree(good, folder / 'images')
    (images / 'to_nowhere.png').symlink_to('nothing.png')
    (images / 'to_itself.png').symlink_to('to_itself.png')
    (images / 'to_a_folder.png').symlink_to('.')
    (images / 'folder.png').mkdir()
    os.mkfifo(images / 'pipe.png')
    odd = ['to_nowhere.png', 'to_itself.png', 'to_a_folder.png', 'folder.png', 'pipe.png', 'not_there.png', '.',
           '../../../../../../../../dev/null', '../../../../../../../../dev/zero', '0/.png', f'{"x" * 300}.png']
    sound = [str(path.relative_to(images)) for path in sorted(images.glob('*/*.png'))]
    (folder / 'list.txt').write_text('\n'.join([*sound, *odd]) + '\n')
    options = (*ONE_EPOCH, *ALMOST_ALL, f'{SOURCE}.type=mmselfsup.ImageList', f'{SOURCE}.ann_file={folder}/list.txt')
    outcome, listed = _train(Training(images, folder / 'work', options=options))
    for name in odd:
        yield _judged(BadImage(name, b''), f'{images}/{name}', outcome, listed)


def folder_cases(good: Path) -> Iterator[Case]:
    """Folders that cannot be trained on."""
    for kind in ('ImageFolder', 'mmcls.CustomDataset'):
        for name, links in LOOPS.items():
            yield _folder_case(f'{kind} with {name}', good, kind, _linking(links), 'is a link to')
        yield _folder_case(f'{kind} without images', good, kind, _emptied, 'images')
        yield _folder_case(f'{kind} that is a file', good, kind, _a_file, 'images')
        yield _folder_case(f'{kind} with one image', good, kind, lambda f: _keep(f, 1), '1 image')
        yield _folder_case(f'{kind} with fewer images than a batch', good, kind, lambda f: _keep(f, 9), 'batch')
        yield _folder_case(f'{kind} of empty files', good, kind, lambda f: _empty(f, 100), 'cannot be read')
        yield _folder_case(f'{kind} with 5 % of empty files', good, kind, lambda f: _empty(f, 5), 'max_unreadable')


def _train(training: Training) -> tuple[Outcome, dict[str, str]]:
    """How it ended, and the reasons in the quarantine by path."""
    start = time.monotonic()
    try:
        training.wait(timeout=SECONDS)
    except TimeoutError:
        return Outcome('hang', '', SECONDS), {}
    file = training.work_dir / 'quarantine.txt'
    lines = file.read_text().split('\n') if file.exists() else []
    entries = [line.split('\t') for line in lines if line]
    return outcome_of(training, time.monotonic() - start), {entry[1]: entry[-1] for entry in entries}


def _judged(image: BadImage, path: str, outcome: Outcome, listed: dict[str, str]) -> Result:
    fault, kind = '', 'quarantined'
    reason = listed.get(printable(path), '')
    if outcome.kind != 'trained':
        fault = f'the training ended with {outcome.kind}: {outcome.sentence}'
    elif image.pixels is None or reason:
        fault = '' if reason else 'it is not in the quarantine'
        if reason and image.pixels is not None and not image.may_be_refused:
            fault = f'a sound image is refused: {reason}'
    else:
        kind, fault = 'read correctly', _difference(image, path)
    return Result('images', image.name, kind, reason, fault, outcome.seconds)


def _difference(image: BadImage, path: str) -> str:
    try:
        found = LoadImage().transform(dict(img_path=path))['img'][..., ::-1]
    except UnreadableImage as error:
        return f'it is neither read nor in the quarantine: {error}'
    assert image.pixels is not None
    if found.shape != image.pixels.shape:
        return f'its shape is {found.shape} and not {image.pixels.shape}'
    off = np.abs(found.astype(float) - image.pixels).max()
    return f'values are off by up to {off:.0f}' if off > image.tolerance else ''


def _folder_case(name: str, good: Path, kind: str, change: Callable[[Path], object], says: str) -> Case:

    def start(folder: Path) -> Training:
        images = shutil.copytree(good, folder / 'images')
        change(images)
        return Training(images, folder / 'work', options=(*ONE_EPOCH, f'{SOURCE}.type={kind}'))

    return Case('images', name, start, frozenset({'error'}), says)


def _linking(links: dict[str, str]) -> Callable[[Path], None]:

    def link(folder: Path) -> None:
        for place, target in links.items():
            (folder / place).symlink_to(target)

    return link


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / '0').mkdir(parents=True)
    (folder / '0' / 'notes.txt').write_text('no image')


def _a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text('no folder')


def _keep(folder: Path, number: int) -> None:
    for path in _files(folder)[number:]:
        path.unlink()


def _empty(folder: Path, number: int) -> None:
    for path in _files(folder)[:number]:
        path.write_bytes(b'')


def _files(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob('*/*.png'))
