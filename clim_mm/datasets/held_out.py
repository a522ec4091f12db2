"""Checks that held-out images are of the training images' classes, and that none of them is trained on."""

import filecmp
import os
import os.path as osp
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
    """Images and classes of a dataset."""

    classes: Optional[tuple[str, ...]]  # names by label
    labels: np.ndarray  # of the images that have one, int64
    paths: Sequence[str]  # of the images that have one

    @classmethod
    def of(cls, source: BaseDataset) -> 'Listing':
        """Go through an MMEngine-style image dataset once; ConfigError if a label is that of no class."""
        labels, paths = [], []
        for i in range(len(source)):  # of a million images not all infos at once
            info = source.get_data_info(i)
            if isinstance(info.get('gt_label'), (int, np.integer)):
                labels.append(info['gt_label'])
            if 'img_path' in info:
                paths.append(str(info['img_path']))
        classes = classes_of(source)
        if classes and max(labels, default=-1) >= len(classes):
            raise ConfigError(f'An image has the label {max(labels)}, but there are names of {len(classes)} classes: '
                              'number the classes from 0 on, or correct `classes`.')
        return cls(classes, np.array(labels, dtype=np.int64), paths)


def check_held_out(train: Listing, held_out: Listing, setting: str) -> str:
    """Check that the classes are the same and no image is in both; gives a sentence for the log.

    Args:
        setting: Name of the setting that chooses the held-out images.
    """
    if train.classes != held_out.classes:
        names, others = train.classes or (), held_out.classes or ()
        apart = some_of(sorted({*names} ^ {*others}), 3) or 'they are in another order'
        raise ConfigError(f'The {len(others)} classes of the held-out images are not the {len(names)} of the training '
                          f'images ({apart}): set {setting} to images of the same classes, or give both datasets the '
                          'same `classes`.')
    label_of = _label_of_folders(train)
    unlike = [f'{name}: {label} instead of {label_of[name]}' for name, label in _label_of_folders(held_out).items()
              if label_of.get(name, label) != label]
    if unlike:
        raise ConfigError('Held-out images have another label than training images in a folder of the same name '
                          f'({some_of(sorted(unlike), 3)}): number the classes alike in both, or set {setting} to '
                          'other images.')
    unknown = np.setdiff1d(held_out.labels, train.labels).tolist() if len(train.labels) else []
    if unknown:
        raise ConfigError(f'No training image has the label of some held-out images ({some_of(unknown, 3)}): set '
                          f'{setting} to images of the same classes, numbered likewise.')
    there = set(_resolved(train.paths))
    both = [path for path, real in zip(held_out.paths, _resolved(held_out.paths), strict=True) if real in there]
    copies = [] if both else _copies(held_out.paths, train.paths)
    if both or copies:
        found = (f'{len(both)} of the {len(held_out.paths)} held-out images are' if both else
                 f'{len(copies)} held-out images that were looked into are copies of')
        raise ConfigError(f'{found} training images ({some_of(both or copies, 3)}), so that the figures would say '
                          f'nothing: set {setting} to images that are not trained on.')
    same = f'are of the same {len(train.classes)} classes, and ' if train.classes else ''
    return f'{len(held_out.paths)} held-out images {same}are apart from the {len(train.paths)} training images.'


def check_classifier(train: Listing, num_classes: int, evaluator: Any) -> None:
    """Check that a classifier has an output for each class, and that no metric asks for the k best of fewer classes.

    Args:
        evaluator: Configs of metrics, or one, or None.
    """
    number = max(int(train.labels.max(initial=-1)) + 1, len(train.classes or ()))
    if number > num_classes or (train.classes is not None and number < num_classes):
        raise ConfigError(f'The classifier has {num_classes} outputs, but the training images are of {number} classes: '
                          f'set model.head.num_classes={number}.')
    if number == 1:
        raise ConfigError('The training images are all of one class, so that every figure would be right: give images '
                          'of two classes or more.')
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        k = metric.get('topk', 1) if isinstance(metric, Mapping) else 1
        if (most := max(k) if isinstance(k, (list, tuple)) else k) > num_classes:
            raise ConfigError(f'val_evaluator wants the accuracy among the best {most} of {num_classes} classes: set '
                              'val_evaluator.topk=[1].')


def _label_of_folders(listing: Listing) -> dict[str, int]:
    """By the names of folders that are those of classes: each label has one, and each of them one label."""
    if len(listing.labels) != len(listing.paths):  # some have no label
        return {}
    pairs = {(osp.basename(osp.dirname(path)), label)
             for path, label in zip(listing.paths, listing.labels.tolist(), strict=True)}
    found = dict(pairs)
    return found if len(found) == len(pairs) == len(set(found.values())) else {}


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
    """Those of a sample whose content a training image has; none if they are few."""
    places = np.unique(np.linspace(0, len(held_out) - 1, _LOOKED_INTO).astype(int)) if held_out else []
    sample = [held_out[i] for i in places]
    if len(train) > _MOST_ASKED:
        names = {tuple(path.split('/')[-2:]) for path in sample}
        train = [path for path in train if tuple(path.split('/')[-2:]) in names]
    of_size: dict[int, list[str]] = {}
    copies: set[str] = set()
    for path in sample:
        with suppress(OSError):  # such as of paths that are not local
            of_size.setdefault(os.path.getsize(path), []).append(path)
    of_size.pop(0, None)
    for path in train:
        with suppress(OSError):
            copies.update(other for other in of_size.get(os.path.getsize(path), ()) if filecmp.cmp(path, other, False))
    return sorted(copies) if len(copies) > _COPIES * len(sample) else []
