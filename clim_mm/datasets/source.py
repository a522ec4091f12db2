"""Build the dataset that tells which images there are, with clear errors about its folder or list."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Union

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, DataError, UserError, on_one_line, some_of
from clim_mm.registry import DATASETS

from .image_folder import IMAGE_EXTENSIONS


def build_source(dataset: Union[dict, BaseDataset],
                 key: str = 'train_dataloader.dataset.dataset') -> BaseDataset:
    """Build an MMEngine-style image dataset from its config; a dataset is given back as it is.

    Args:
        dataset: The config.
        key: Where a config has it, for messages.

    Raises:
        ConfigError: If it is neither a dataset nor a config, or names its folder by something else than a string.
        DataError: If its folder or list does not exist, holds no image, or holds a link that leads nowhere or to a
            folder that the link is in.
    """
    if not isinstance(dataset, dict):
        if not hasattr(dataset, 'get_data_info'):
            raise ConfigError(f'dataset must be the config of an image dataset, such as dict(type="ImageFolder", '
                              f'data_root=FOLDER), not {dataset!r}.')
        return dataset
    cfg = dataset
    _check_strings(cfg)
    for path in _local_paths(cfg):
        if not os.path.exists(path):
            raise DataError(f'{path} does not exist: set data_root, data_prefix and ann_file of {key} to where your '
                            f'images are, for example with --cfg-options {key}.data_root=FOLDER.')
    try:
        for path in _scanned(cfg):
            check_links(path)
        source = DATASETS.build(cfg)
        empty = len(source) == 0
    except UserError:
        raise
    # What MMEngine's and MMClassification's datasets raise for a folder or list without a usable line.
    except (RuntimeError, ValueError, IndexError, OSError, AssertionError) as error:
        raise machine_error(error) or DataError(
            f'{place_of(cfg)} cannot be used as {cfg.get("type")}: {on_one_line(error).rstrip(".")}. For a folder '
            'without class folders use type="ImageFolder".') from error
    if empty:
        raise DataError(f'{place_of(cfg)} holds no image: set data_root and data_prefix of {key} to where the images '
                        'are.')
    return source


def place_of(cfg: dict) -> str:
    """The folder or list that a dataset config names, for messages."""
    return ', '.join(_paths(cfg)) or 'The dataset'


def check_links(folder: str) -> None:
    """Look at what is below a folder and neither a file nor a folder, or comes back to a folder above.

    MMEngine passes over images that are links to nowhere, and with a link that leads back up it lists every image
    dozens of times, or for ever.

    Raises:
        DataError: If there is such a link.
    """
    odd = sorted(_odd_images(folder, {_identity(folder): folder}))
    if odd:
        raise DataError(f'{len(odd)} image(s) below {folder} are links that lead nowhere, or no files at all '
                        f'({some_of(odd, 3)}): mend them, or take them out of the data folder.')


def _odd_images(folder: str, above: Mapping[tuple[int, int], str]) -> Iterator[str]:
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:  # the file system is asked about links alone
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                folders.append(entry.path)
            elif entry.name.lower().endswith(IMAGE_EXTENSIONS) and not _is_file(entry):
                yield entry.path
    for path in folders:
        identity = _identity(path)
        if identity in above:
            raise DataError(f'{path} is a link to {above[identity]}, which it is in, so that images would be listed '
                            'again and again: take the link out of the data folder.')
        yield from _odd_images(path, {**above, identity: path})


def _is_file(entry: os.DirEntry) -> bool:
    return os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file()


def _identity(folder: str) -> tuple[int, int]:
    """By which a folder is known, whatever links lead to it."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _check_strings(cfg: dict) -> None:
    prefix = cfg.get('data_prefix')
    named = dict(data_root=cfg.get('data_root'), ann_file=cfg.get('ann_file'))
    named.update(prefix if isinstance(prefix, dict) else dict(data_prefix=prefix))
    for name, value in named.items():
        if not isinstance(value, (str, os.PathLike, type(None))):
            raise ConfigError(f'{name} of the dataset must be a path, not {value!r}.')


def _paths(cfg: dict) -> list[str]:
    prefix: Any = cfg.get('data_prefix', '')
    prefix = prefix.get('img_path', '') if isinstance(prefix, dict) else prefix
    root = cfg.get('data_root', '')
    named = [path for path in (prefix, cfg.get('ann_file', '')) if path]
    return [join_path(root, path) if root else path for path in named] or [root] * bool(root)


def _scanned(cfg: dict) -> list[str]:
    """Folders that are searched for images; a list tells its images itself."""
    return [] if cfg.get('ann_file') else [path for path in _local_paths(cfg) if os.path.isdir(path)]


def _local_paths(cfg: dict) -> list[str]:
    return [path for path in _paths(cfg) if '://' not in path and not path.startswith('s3:')]
