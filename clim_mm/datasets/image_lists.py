"""Datasets whose images a text file lists: with or without labels, or those of a class folder that it names."""

import os
import os.path as osp
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mmengine.fileio import join_path

from clim_mm.errors import DataError, StorageError, on_one_line, printable, some_of
from clim_mm.host import CustomDataset
from clim_mm.registry import DATASETS
from clim_mm.storage import patiently

from .image_folders import ClassFolder
from .transforms.load_image import backend_of

_LINE = re.compile(r'^"?(.+?)"?(?:(?:\s*,\s*|\s+)(-?\d{1,6}))?$')  # a path and perhaps a label


def lines_of(path: str) -> list[tuple[int, str]]:
    """The stripped lines of a list with their numbers from 1, without empty ones and comments, which begin with ``# ``.

    Names need not be UTF-8.
    """
    try:
        text = patiently(lambda: backend_of(path).get(path), path).decode('utf-8-sig', 'surrogateescape')
        if '\0' in text:
            raise ValueError('it is no UTF-8 text')
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f'The list {path} cannot be read ({on_one_line(error)}): give the path of a text file with an '
                        'image a line.') from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split('\n'), start=1)]
    lines = [(number, line) for number, line in lines if line and not re.match(r'#\s|#$', line)]
    if not lines:
        raise DataError(f'The list {path} names no image: write a path in each line.')
    return lines


@DATASETS.register_module()
class ImageList(CustomDataset):
    """The images that the text file ``ann_file`` lists, each as ``PATH``, ``PATH LABEL`` or ``PATH,LABEL``.

    Paths may have spaces, and quotation marks around them. An image that is listed again counts once.
    """

    def __init__(self, ann_file: str, **kwargs: Any) -> None:
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Paths, and labels, -1 for none."""
        once: dict[str, dict] = {}
        for number, line in lines_of(self.ann_file):
            [(name, label)] = _LINE.findall(line)
            info = dict(img_path=join_path(self.img_prefix, name), gt_label=int(label or -1))
            same = once.setdefault(osp.normpath(name), info)
            first = next(iter(once.values()))
            is_unlike = (info['gt_label'] >= 0) != (first['gt_label'] >= 0)
            if is_unlike or info['gt_label'] < -1 or info['gt_label'] != same['gt_label']:
                raise DataError(f'Line {number} of {self.ann_file} ({printable(line)[:80]}) has no label, an '
                                'unexpected or a second one: give every image one number from 0 on, or none any.')
        return list(once.values())


@DATASETS.register_module()
class LabelSplit(ClassFolder):
    """The images of a :class:`ClassFolder` that a list names: those whose labels a semi-supervised training may use.

    Args:
        split: Path of the list. Each line names an image by its path below the data folder, ``CLASS/IMAGE.JPEG``, or
            by its file name alone, as SimCLR's lists of ImageNet do. Behind a tab may follow a label that is not to be
            that of its folder: a pseudo-label, as tools/pseudo_labels.py writes it.

    ``metainfo`` has the number of ``pseudo_labels``, and their images' data infos ``is_pseudo``.
    """

    def __init__(self, split: str, **kwargs: Any) -> None:
        self.split = split
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the images of all classes, and keep those of the list."""
        wanted: dict[str, str] = {}  # labels by name, '' for that of the folder
        for number, line in lines_of(self.split):
            name, _, label = line.partition('\t')
            if wanted.setdefault(name.strip(), label) != label or label and not label.isdecimal():
                raise DataError(f'Line {number} of {self.split} ({printable(line)[:80]}) has a second or an unexpected '
                                'label: give every image one number from 0 on, or none.')
        images = super().load_data_list()
        paths = [image['img_path'] for image in images]
        by_path = any('/' in name for name in wanted)
        names = [(osp.relpath(path, self.img_prefix) if by_path else osp.basename(path)).strip() for path in paths]
        count = Counter(names)
        if wrong := sorted(name for name in wanted if count[name] != 1):
            raise DataError(f'{len(wrong)} of the {len(wanted)} names in {self.split} are those of no image in '
                            f'{self.img_prefix}, or of several ({some_of(wrong, 3)}): give the list that was made for '
                            'this folder, with CLASS/IMAGE in each line, as tools/make_label_split.py writes it.')
        if beyond := [name for name, label in wanted.items() if label and int(label) >= len(self._metainfo['classes'])]:
            raise DataError(f'{len(beyond)} labels in {self.split} are those of no class ({some_of(beyond, 3)}): give '
                            'the list that was made for this folder.')
        self._metainfo['pseudo_labels'] = sum(map(bool, wanted.values()))
        return [dict(image, gt_label=int(wanted[name]), is_pseudo=True) if wanted[name] else image
                for name, image in zip(names, images, strict=True) if name in wanted]


def as_list(lines: Sequence[str], comment: str = '') -> bytes:
    """The content of a list file, perhaps with a comment in its first line."""
    if broken := [line for line in lines if '\n' in line or '\r' in line]:
        raise DataError(f'A list with an image a line cannot name {printable(broken[0])}, which has a line break in '
                        'its name: rename it.')
    return os.fsencode('\n'.join([*([f'# {comment}'] if comment else []), *lines]) + '\n')
