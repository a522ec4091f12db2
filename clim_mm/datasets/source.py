"""Build the dataset that tells which images there are, and read its labels, which measure and choose nothing."""

import os
from functools import partial
from typing import Any, Optional, Union

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, DataError, UserError, on_one_line
from clim_mm.registry import DATASETS
from clim_mm.storage import is_there, patiently

from .image_folders import as_class_folder


def build_source(dataset: Union[dict, BaseDataset], key: str = 'train_dataloader.dataset.dataset') -> BaseDataset:
    """Build an MMEngine-style image dataset from its config; a dataset is given back as it is.

    Args:
        key: Where a config has it, for messages.
    """
    if not isinstance(dataset, dict):
        if not hasattr(dataset, 'get_data_info'):
            raise ConfigError(f'dataset must be the config of an image dataset, such as dict(type="ImageFolder", '
                              f'data_root=FOLDER), not {dataset!r}.')
        return dataset
    cfg = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in dataset.items()}
    if cfg.get('type') == 'mmselfsup.ImageList':
        cfg['type'] = 'clim_mm.ImageList'
    for path in _paths(cfg):
        if '://' not in path and not path.startswith('s3:') and not is_there(path):
            raise DataError(f'{path} does not exist: set data_root, data_prefix and ann_file of {key} to where your '
                            f'images are, for example with --cfg-options {key}.data_root=FOLDER.')
    try:
        return patiently(partial(DATASETS.build, as_class_folder(cfg)), place_of(cfg))
    except UserError:
        raise
    # What MMEngine's and MMClassification's datasets raise for a folder or list without a usable line.
    except (RuntimeError, ValueError, IndexError, OSError, AssertionError) as error:
        raise machine_error(error) or DataError(
            f'{place_of(cfg)} cannot be used as {cfg.get("type")}: {on_one_line(error).rstrip(".")}.') from error


def place_of(cfg: dict) -> str:
    """The folder or list that a dataset config names, for messages."""
    return ', '.join(_paths(cfg)) or 'The dataset'


def _paths(cfg: dict) -> list[str]:
    prefix: Any = cfg.get('data_prefix') or ''
    prefix = prefix.get('img_path', '') if isinstance(prefix, dict) else prefix
    root, named = cfg.get('data_root') or '', [path for path in (prefix, cfg.get('ann_file')) if path]
    if not all(isinstance(path, (str, os.PathLike)) for path in (root, *named)):
        raise ConfigError(f'data_root, data_prefix and ann_file of the dataset must be paths, not {[root, *named]}.')
    return [join_path(root, path) if root else path for path in named] or [root] * bool(root)


def labels_of(source: BaseDataset) -> Optional[np.ndarray]:
    """(N,) int64 class labels of an MMEngine-style dataset, or None if an image has none."""
    infos = (source.get_data_info(i) for i in range(len(source)))
    labels = np.fromiter((info.get('gt_label', -1) for info in infos), dtype=np.int64, count=len(source))
    return labels if (labels >= 0).all() else None


def balanced_split(labels: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Draw images at random, as many of each class: ``share * N / classes``, rounded, and one at least.

    Gives (n,) int64 ids, ascending; of a class that has fewer images, all. ``share`` is above 0 and up to 1.
    """
    if not 0 < share <= 1:
        raise ConfigError(f'The share of labelled images must be above 0 and at most 1, not {share}.')
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    of_each = max(1, round(share * len(labels) / len(classes)))
    ids = [np.flatnonzero(labels == label) for label in classes]
    return np.sort(np.concatenate([rng.choice(of_class, min(of_each, len(of_class)), replace=False)
                                   for of_class in ids]))
