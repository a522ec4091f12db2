"""Checks that held-out images are of the training images' classes, and that none of them is trained on."""

import hashlib
import os
import os.path as osp
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from mmengine.dataset import BaseDataset

from clim_mm.errors import ConfigError, some_of

_LOOKED_INTO = 100  # held-out images that are searched for copies [ours]
_COPIES = 0.05  # of them: more are no accident [ours]
_MOST_ASKED = 100_000  # training images that are searched; of larger sets those of the same name and class [ours]


def classes_of(source: BaseDataset) -> Optional[tuple[str, ...]]:
    """Names of the classes by label, as a dataset has them; None if it has none."""
    names = (source.metainfo or {}).get('classes')
    return tuple(map(str, [names] if isinstance(names, str) else names)) if names else None


@dataclass(frozen=True)
class Listing:
    """Images and classes of a dataset.

    Attributes:
        classes: Names by label; None for none.
        folders: Those of the classes by label, where these were found as folders; a config may call them otherwise.
        labels: Of the images that have one, int64.
        paths: Of the images that have one.
    """

    classes: Optional[tuple[str, ...]]
    folders: Optional[tuple[str, ...]]
    labels: np.ndarray
    paths: Sequence[str]

    @classmethod
    def of(cls, source: BaseDataset) -> 'Listing':
        """Go through an MMEngine-style image dataset once."""
        labels, paths = [], []
        for i in range(len(source)):  # of a million images not all infos at once
            info = source.get_data_info(i)
            if isinstance(info.get('gt_label'), (int, np.integer)):
                labels.append(info['gt_label'])
            if 'img_path' in info:
                paths.append(str(info['img_path']))
        numbers: dict[str, int] = getattr(source, 'folder_to_idx', None) or {}
        return cls(classes_of(source), tuple(sorted(numbers, key=numbers.__getitem__)) or None,
                   np.array(labels, dtype=np.int64), paths)


def check_held_out(train: Listing, held_out: Listing, setting: str) -> str:
    """Check that the classes are the same and no image is in both; gives a sentence for the log.

    Args:
        setting: Name of the setting that chooses the held-out images.
    """
    _check_labels(train, 'training')
    _check_labels(held_out, 'held-out')
    _check_same_names(train.classes, held_out.classes, 'classes', setting)
    if train.folders and held_out.folders:
        _check_same_names(train.folders, held_out.folders, 'class folders', setting)
    else:
        label_of = _label_of_folders(train)
        others = [f'{name}: {label} instead of {label_of[name]}' for name, label in _label_of_folders(held_out).items()
                  if label_of.get(name, label) != label]
        if others:
            raise ConfigError('Held-out images have another label than training images in a folder of the same name '
                              f'({some_of(sorted(others), 3)}): number the classes alike in both lists, or set '
                              f'{setting} to other images.')
    unknown = np.setdiff1d(held_out.labels, train.labels).tolist() if len(train.labels) else []
    if unknown:
        raise ConfigError(f'No training image has the label of some held-out images ({some_of(unknown, 3)}): set '
                          f'{setting} to images of the same classes, numbered likewise.')
    _check_apart(train.paths, held_out.paths, setting)
    same = f'are of the same {len(train.classes)} classes, and ' if train.classes else ''
    return f'{len(held_out.paths)} held-out images {same}are apart from the {len(train.paths)} training images.'


def check_num_classes(train: Listing, num_classes: int) -> None:
    """Check that a classifier has as many outputs as there are classes; without names, an output for each label."""
    _check_labels(train, 'training')
    number = max(int(train.labels.max(initial=-1)) + 1, len(train.classes or ()))
    if number > num_classes or (train.classes is not None and number < num_classes):
        raise ConfigError(f'The classifier has {num_classes} outputs, but the training images are of {number} classes: '
                          f'set model.head.num_classes={number}.')
    if number == 1:
        raise ConfigError('The training images are all of one class, so that every figure would be right: give images '
                          'of two classes or more.')


def check_top_k(evaluator: Any, num_classes: int) -> None:
    """Check before an epoch is trained for it that no metric asks for the k best of fewer than k classes."""
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        k = metric.get('topk', 1) if isinstance(metric, Mapping) else 1
        if (most := max(k) if isinstance(k, (list, tuple)) else k) > num_classes:
            raise ConfigError(f'val_evaluator wants the accuracy among the best {most} of {num_classes} classes: set '
                              'val_evaluator.topk=[1].')


def _check_labels(listing: Listing, which: str) -> None:
    number = len(listing.classes or ())
    if number and listing.labels.max(initial=-1) >= number:
        raise ConfigError(f'The {which} images have labels that none of their {number} classes has '
                          f'({listing.labels.max()}): number the classes from 0 on, or correct `classes`.')


def _label_of_folders(listing: Listing) -> dict[str, int]:
    """By the names of folders that are those of classes: each label has one, and each of them one label."""
    if len(listing.labels) != len(listing.paths):  # some have no label
        return {}
    pairs = {(osp.basename(osp.dirname(path)), label)
             for path, label in zip(listing.paths, listing.labels.tolist(), strict=True)}
    found = dict(pairs)
    return found if len(found) == len(pairs) == len(set(found.values())) else {}


def _check_same_names(names: Optional[Sequence[str]], others: Optional[Sequence[str]], what: str, setting: str) -> None:
    if names == others:
        return
    if names is None or others is None:
        raise ConfigError(f'Only the {"held-out" if names is None else "training"} images have names of their {what}: '
                          'give both datasets the same `classes`.')
    reasons = [f'{len(found)} {words} ({some_of(found, 3)})' for found, words in (
        ([name for name in names if name not in others], 'are missing'),
        ([name for name in others if name not in names], 'are unknown to the training')) if found]
    raise ConfigError(f'The held-out images have {len(others)} {what} that are not the {len(names)} of the training '
                      f'images: {", ".join(reasons) or "they are in another order"}; set {setting} to images of the '
                      'same classes.')


def _check_apart(train: Sequence[str], held_out: Sequence[str], setting: str) -> None:
    """Check that no image is in both, by whatever links, and that few of a sample of held-out images are copies."""
    there = set(_resolved(train))
    both = [path for path, real in zip(held_out, _resolved(held_out), strict=True) if real in there]
    if both:
        raise ConfigError(f'{len(both)} of the {len(held_out)} held-out images are training images ({some_of(both, 3)}'
                          f'), so that the figures would say nothing: set {setting} to images that are not trained on.')
    places = np.unique(np.linspace(0, len(held_out) - 1, _LOOKED_INTO).astype(int)) if held_out else []
    sample = [held_out[i] for i in places]
    copies = _copies(sample, train)
    if len(copies) > _COPIES * len(sample):
        raise ConfigError(f'{len(copies)} of {len(sample)} held-out images that were looked into are copies of '
                          f'training images ({some_of(copies, 3)}), so that the figures would say nothing: set '
                          f'{setting} to images that are not trained on.')


def _resolved(paths: Iterable[str]) -> Iterator[str]:
    """Where they lead. The file system is asked about folders and links, and not about each of a million files."""
    folders: dict[str, tuple[str, set[str]]] = {}
    for path in paths:
        folder, name = osp.split(path)
        if folder not in folders:
            folders[folder] = folder, set()
            if '://' not in folder and osp.isdir(folder or '.'):
                with os.scandir(folder or '.') as entries:
                    folders[folder] = osp.realpath(folder), {entry.name for entry in entries if entry.is_symlink()}
        real, links = folders[folder]
        yield osp.realpath(path) if name in links else osp.join(real, name)


def _copies(held_out: Sequence[str], train: Sequence[str]) -> list[str]:
    """Those whose content a training image has, too."""
    if len(train) > _MOST_ASKED:
        names = {tuple(path.split('/')[-2:]) for path in held_out}
        train = [path for path in train if tuple(path.split('/')[-2:]) in names]
    sizes = set(map(_size, held_out)) - {None}
    contents = {_digest(path) for path in train if _size(path) in sizes}
    return [path for path in held_out if _size(path) and _digest(path) in contents] if contents else []


def _size(path: str) -> Optional[int]:
    """Bytes of a local file; None of any other, and of an empty one."""
    with suppress(OSError):
        status = os.stat(path)
        return status.st_size if stat.S_ISREG(status.st_mode) and status.st_size else None
    return None


def _digest(path: str) -> bytes:
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).digest()
