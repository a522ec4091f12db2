"""Datasets that search a folder for images, without labels or with a folder a class."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path

from clim_mm.errors import DataError
from clim_mm.host import CustomDataset, ImageNet
from clim_mm.registry import DATASETS

from .find_images import IMAGE_EXTENSIONS, find_images, warn_once


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images below a folder, at any depth, in the order of their paths, without labels.

    Args:
        data_prefix: A folder below ``data_root``. Defaults to ``data_root`` itself.

    Attributes:
        left_out: What below the folder was passed over, in words; empty if nothing was.
    """

    left_out = ''

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

    Attributes:
        left_out: What in the folder was passed over, in words; empty if nothing was.
    """

    left_out = ''

    def __init__(self, extensions: Sequence[str] = IMAGE_EXTENSIONS, **kwargs: Any) -> None:
        super().__init__(extensions=extensions, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find paths and labels: the places of the classes in the order of their names."""
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
