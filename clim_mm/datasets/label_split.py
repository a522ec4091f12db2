"""The images of a class folder that a list names: those whose labels a semi-supervised training may use."""

import os.path as osp
from collections import Counter
from typing import Any

from clim_mm.errors import DataError, on_one_line, some_of
from clim_mm.registry import DATASETS

from .class_folder import ClassFolder
from .image_list import lines_of


@DATASETS.register_module()
class LabelSplit(ClassFolder):
    """:class:`ClassFolder`, with only the images that a list names.

    Args:
        split: Path of the list. Each line names an image by its path below the data folder, ``CLASS/IMAGE.JPEG``, or
            by its file name alone, as SimCLR's lists of ImageNet do.
        **kwargs: As for :class:`ClassFolder`.

    Raises:
        DataError: If the data folder has no class folders, or there is no such list, or it names an image that is not
            there, or none of some class.
    """

    def __init__(self, split: str, **kwargs: Any) -> None:
        self.split = split
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the images of all classes, and keep those of the list."""
        wanted = read_split(self.split)
        try:
            images = super().load_data_list()
        except (RuntimeError, OSError) as error:
            raise DataError(f'The images in {self.img_prefix} have no labels for {self.split} to choose from '
                            f'({on_one_line(error).rstrip(".")}): give a folder with a folder of images for each '
                            'class.') from error
        by_path = any('/' in name for name in wanted)
        names = [self._path_below(image['img_path']) if by_path else osp.basename(image['img_path'])
                 for image in images]
        known = Counter(names)
        wanted = {name if name in known else name.strip() for name in wanted}
        if shared := sorted(name for name in wanted if known[name] > 1):
            raise DataError(f'{len(shared)} of the {len(wanted)} names in {self.split} are those of several images in '
                            f'{self.img_prefix} ({some_of(shared, 3)}): write CLASS/IMAGE instead of the name alone, '
                            'as tools/make_label_split.py does.')
        missing = wanted - set(names)
        if missing:
            raise DataError(f'{len(missing)} of the {len(wanted)} images that {self.split} names are not in '
                            f'{self.img_prefix} ({some_of(sorted(missing), 3)}): give the list that was made for this '
                            'folder.')
        chosen = [image for name, image in zip(names, images, strict=True) if name in wanted]
        number = Counter(image['gt_label'] for image in chosen)
        there = {image['gt_label'] for image in images}  # an empty folder is a class, too
        without = [name for label, name in enumerate(self.CLASSES) if label in there and not number[label]]
        if without:
            raise DataError(f'{self.split} names no image of {len(without)} of the {len(self.CLASSES)} classes '
                            f'({some_of(without, 3)}): give a list with images of every class, such as '
                            'tools/make_label_split.py writes.')
        return chosen

    def _path_below(self, path: str) -> str:
        return osp.relpath(path, self.img_prefix)


def read_split(path: str) -> set[str]:
    """The names in a list of images, one a line.

    Raises:
        DataError: If it cannot be read, or names none.
    """
    names = {line for _, line in lines_of(path)}
    if not names:
        raise DataError(f'The list of labelled images {path} is empty: make one by tools/make_label_split.py.')
    return names
