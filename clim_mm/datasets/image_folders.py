"""Datasets that search a folder for images, without labels or with a folder a class."""

import os
import os.path as osp
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.fileio.backends import LocalBackend

from clim_mm.errors import DataError, printable, some_of
from clim_mm.host import CustomDataset, ImageNet
from clim_mm.registry import DATASETS

from .transforms.load_image import backend_of, warn_once

# What the decoder reads; in capitals, too. HEIC, JPEG XL and raw files of cameras it does not.
IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.avif', '.gif', '.bmp', '.dib', '.tif', '.tiff',
                    '.jp2', '.ppm', '.pgm', '.pbm', '.pnm')
# What systems and programs put among a user's folders, beside all that begins with a dot.
_SYSTEM_FOLDERS = ('__macosx', '__pycache__', 'lost+found', '@eadir', '#recycle', '@recycle', '#snapshot',
                   '$recycle.bin', 'recycler', 'system volume information')


class FoundImages(NamedTuple):
    """Paths below a folder, names of the folders right in it, both sorted, and what was left out, in words, or ''."""

    images: Sequence[str]
    folders: Sequence[str]
    left_out: str


def find_images(folder: str, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> FoundImages:
    """Find the images at any depth.

    Left out, and told, are files with other endings, hidden and system files and folders, and links to folders that are
    searched anyway. Links to folders that they are in raise DataError.
    """
    endings, backend = tuple(extensions), backend_of(folder)
    if isinstance(backend, LocalBackend):
        images, folders, left_out = _walk(folder.rstrip('/') or folder, endings)
    else:
        files = list(backend.list_dir_or_file(folder, list_dir=False, list_file=True, recursive=True))
        images = [path for path in files
                  if path.lower().endswith(endings) and not any(map(_is_hidden, path.split('/')))]
        folders = {path.partition('/')[0] for path in images if '/' in path}
        left_out = [*set(files).difference(images)]
    examples = some_of([printable(path) for path in sorted(left_out)[:4]], 3)
    said = f'{len(left_out)} other, hidden or repeated files and folders ({examples})' if left_out else ''
    return FoundImages(sorted(images), sorted(folders), said)


def _walk(root: str, endings: tuple[str, ...]) -> tuple[list[str], set[str], list[str]]:
    """Images, names of the folders right in the root, and what was left out."""
    images: list[str] = []
    left_out: list[str] = []
    real_folders: dict[str, str] = {}  # paths below the root by real paths
    within, behind_links = deque(['']), deque[str]()  # each folder is gone through once, those behind links last
    while within or behind_links:
        below = (within or behind_links).popleft()
        real = osp.realpath(osp.join(root, below))
        if real_folders.setdefault(real, below) != below:
            left_out.append(below)
            continue
        with os.scandir(osp.join(root, below)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):  # everywhere in one order
                path, is_link = osp.join(below, entry.name), entry.is_symlink()
                is_folder = osp.isdir(entry.path) if is_link else entry.is_dir()
                if _is_hidden(entry.name) or not is_folder and not entry.name.lower().endswith(endings):
                    left_out.append(path)
                elif not is_folder:
                    images.append(path)
                elif is_link and osp.join(real, '').startswith(osp.join(target := osp.realpath(entry.path), '')):
                    raise DataError(f'{entry.path} is a link to {target}, which it is in, so that images would be '
                                    'listed again and again: take the link out of the data folder.')
                else:
                    (behind_links if is_link else within).append(path)
    return images, {below for below in real_folders.values() if below and os.sep not in below}, left_out


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name.lower() in _SYSTEM_FOLDERS


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images below a folder, at any depth, in the order of their paths, without labels.

    Args:
        data_prefix: A folder below ``data_root``. Defaults to ``data_root`` itself.
    """

    left_out = ''  # what below the folder was passed over, in words

    def __init__(self, data_root: str, data_prefix: str = '', **kwargs) -> None:
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images' paths."""
        folder = self.data_prefix['img_path']
        found = find_images(folder)
        self.left_out = found.left_out
        if not found.images:
            raise DataError(f'{folder} has no file that ends in {", ".join(IMAGE_EXTENSIONS)}: set data_root and '
                            'data_prefix of the dataset to where the images are.')
        if self.left_out:
            warn_once(folder, f'{len(found.images)} images in {folder}; left out: {self.left_out}.')
        return [dict(img_path=join_path(folder, path)) for path in found.images]


@DATASETS.register_module()
class ClassFolder(CustomDataset):
    """MMClassification's ``CustomDataset``, whose images are those that :class:`ImageFolder` would take.

    Hidden folders and those of the system are no classes, and neither is a second link to a class.

    Args:
        unlabelled: A folder below ``data_root`` whose images follow, with ``gt_label`` -1, as those of STL-10.
    """

    left_out = ''  # what in the folder was passed over, in words

    def __init__(self, extensions: Sequence[str] = IMAGE_EXTENSIONS, unlabelled: str = '', **kwargs: Any) -> None:
        self.unlabelled = unlabelled
        super().__init__(extensions=extensions, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find paths and labels: the places of the classes in the order of their names."""
        without = []
        if self.unlabelled:
            folder = ImageFolder(self.data_root, self.unlabelled)
            without = [dict(folder.get_data_info(i), gt_label=-1) for i in range(len(folder))]
        return self._labelled() + without

    def _labelled(self) -> list[dict]:
        if self.ann_file:
            return super().load_data_list()
        folder = self.img_prefix
        found = find_images(folder, tuple(self.extensions))
        label_of = {name: label for label, name in enumerate(found.folders)}
        images = [dict(img_path=join_path(folder, path), gt_label=label_of[path.partition('/')[0]])
                  for path in found.images if '/' in path]
        if not images:
            raise DataError(f'{folder} has no folder of images for a class: give one that has, or, for images without '
                            'labels, type="ImageFolder".')
        if self.CLASSES is not None and len(self.CLASSES) != len(label_of):
            raise DataError(f'{folder} has folders for {len(label_of)} classes, and the config names '
                            f'{len(self.CLASSES)}: correct classes of the dataset, or the folders.')
        self._metainfo['classes'] = self.CLASSES or tuple(label_of)
        self.folder_to_idx = label_of
        beside = len(found.images) - len(images)
        self.left_out = ', '.join(filter(None, [found.left_out, f'{beside} images beside folders' if beside else '']))
        if self.left_out:
            warn_once(folder, f'{len(images)} images in {folder}; left out: {self.left_out}.')
        return sorted(images, key=lambda image: image['gt_label'])


def as_class_folder(cfg: Mapping) -> Mapping:
    """A config of MMClassification's datasets of class folders as one of :class:`ClassFolder`; any other as it is."""
    kind = cfg.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if kind not in (CustomDataset, ImageNet) or cfg.get('ann_file'):
        return cfg
    return dict(cfg, type='clim_mm.ClassFolder', metainfo=dict(kind.METAINFO, **(cfg.get('metainfo') or {})))
