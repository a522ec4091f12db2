"""Build the dataset that tells which images there are, with clear errors about its folder or list."""

import os
from functools import partial
from typing import Any, Union

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
        source = patiently(partial(DATASETS.build, as_class_folder(cfg)), place_of(cfg))
        number = len(source)
    except UserError:
        raise
    # What MMEngine's and MMClassification's datasets raise for a folder or list without a usable line.
    except (RuntimeError, ValueError, IndexError, OSError, AssertionError) as error:
        is_plain = str(cfg.get('type')).rpartition('.')[2] == 'ImageFolder' or cfg.get('ann_file')
        remedy = '' if is_plain else '. For a folder without class folders use type="ImageFolder"'
        raise machine_error(error) or DataError(
            f'{place_of(cfg)} cannot be used as {cfg.get("type")}: {on_one_line(error).rstrip(".")}{remedy}.'
        ) from error
    if not number:
        raise DataError(f'{place_of(cfg)} holds no image: set data_root and data_prefix of {key} to where the images '
                        'are.')
    return source


def place_of(cfg: dict) -> str:
    """The folder or list that a dataset config names, for messages."""
    return ', '.join(_paths(cfg)) or 'The dataset'


def _paths(cfg: dict) -> list[str]:
    prefix: Any = cfg.get('data_prefix', '')
    prefix = prefix.get('img_path', '') if isinstance(prefix, dict) else prefix
    root = cfg.get('data_root', '')
    for name, value in dict(data_root=root, data_prefix=prefix, ann_file=cfg.get('ann_file')).items():
        if not isinstance(value, (str, os.PathLike, type(None))):
            raise ConfigError(f'{name} of the dataset must be a path, not {value!r}.')
    named = [path for path in (prefix, cfg.get('ann_file', '')) if path]
    return [join_path(root, path) if root else path for path in named] or [root] * bool(root)
