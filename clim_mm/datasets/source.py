"""Build the dataset that tells which images there are, with clear errors about its folder or list."""

import os
from typing import Any, Union

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path

from clim_mm.errors import DataError, on_one_line
from clim_mm.registry import DATASETS


def build_source(dataset: Union[dict, BaseDataset]) -> BaseDataset:
    """Build an MMEngine-style image dataset from its config; a dataset is given back as it is.

    Raises:
        DataError: If its folder or list does not exist, or holds no image.
    """
    if not isinstance(dataset, dict):
        return dataset
    cfg = dataset
    for path in _local_paths(cfg):
        if not os.path.exists(path):
            raise DataError(f'{path} does not exist: set data_root, data_prefix and ann_file of the dataset to where '
                            'your images are, for example with --cfg-options '
                            'train_dataloader.dataset.dataset.data_root=FOLDER.')
    try:
        source = DATASETS.build(cfg)
        empty = len(source) == 0
    # What MMEngine's and MMClassification's datasets raise for a folder or list without a usable line.
    except (RuntimeError, ValueError, IndexError) as error:
        raise DataError(f'{place_of(cfg)} cannot be used as {cfg["type"]}: {on_one_line(error).rstrip(".")}. '
                        'For a folder without class folders use type="ImageFolder".') from error
    if empty:
        raise DataError(f'{place_of(cfg)} holds no image: set data_root and data_prefix to where the images are.')
    return source


def place_of(cfg: dict) -> str:
    """The folder or list that a dataset config names, for messages."""
    return ', '.join(_paths(cfg)) or 'The dataset'


def _paths(cfg: dict) -> list[str]:
    prefix: Any = cfg.get('data_prefix', '')
    prefix = prefix.get('img_path', '') if isinstance(prefix, dict) else prefix
    root = cfg.get('data_root', '')
    named = [path for path in (prefix, cfg.get('ann_file', '')) if path]
    return [join_path(root, path) if root else path for path in named] or [root] * bool(root)


def _local_paths(cfg: dict) -> list[str]:
    return [path for path in _paths(cfg) if '://' not in path and not path.startswith('s3:')]
