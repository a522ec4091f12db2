"""Lists of images in text files: what is meant is read, and what is not is told with its line."""

import re
from os.path import normpath
from typing import Any, NamedTuple, Optional

from mmengine.fileio import join_path

from clim_mm.errors import DataError, StorageError, on_one_line, printable
from clim_mm.host import CustomDataset, read_image_lists_by
from clim_mm.registry import DATASETS
from clim_mm.storage import patiently

from .find_images import IMAGE_EXTENSIONS
from .image_storage import backend_of, warn_once

_IMAGE = '|'.join(map(re.escape, IMAGE_EXTENSIONS))
# A label of more than 6 digits is the id of something else [ours].
_LABELLED = re.compile(rf'(.*(?:{_IMAGE})"?)[ \t]*[,;|][ \t]*(-?\d{{1,6}})|(.*\S)[ \t]+(-?\d{{1,6}})', re.IGNORECASE)
_COMMENT = re.compile(rf'\s*#(?:[ \t]|(?!.*(?:{_IMAGE})))', re.IGNORECASE)
_WORDED = re.compile(rf'.*(?:{_IMAGE})"?(?:[ \t]+|(?=[,;|]))(.*)', re.IGNORECASE)


class Line(NamedTuple):
    """Image that a list names: number and text of its line, its path, and the number of its class or None."""

    number: int
    text: str
    name: str
    label: Optional[int]


def lines_of(path: str) -> list[tuple[int, str]]:
    """The lines of a list, with their numbers from 1, without empty ones and comments.

    Any line end will do, and a byte-order mark; names need not be UTF-8. A comment begins with ``#``, and a space
    follows or it has no image's ending in it.
    """
    try:
        content = patiently(lambda: backend_of(path).get(path), path)
        utf_16 = content.startswith((b'\xff\xfe', b'\xfe\xff'))
        text = content.decode('utf-16') if utf_16 else content.decode('utf-8-sig', 'surrogateescape')
        if '\0' in text:
            raise ValueError('it is no text')
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f'The list {path} cannot be read ({on_one_line(error)}): give the path of a text file with an '
                        'image a line.') from error
    lines = enumerate(re.split('\r\n|\n|\r', text), start=1)
    return [(number, line) for number, line in lines if line.strip() and not _COMMENT.match(line)]


def read_image_list(path: str, labelled: bool = False) -> list[Line]:
    """The images of a list, each ``PATH``, ``PATH LABEL`` or ``PATH,LABEL``, with a number for the label.

    Paths may have spaces, and quotation marks around them. An image that is listed again counts once. If ``labelled``,
    all images must have labels; otherwise all have, or none.
    """
    lines = [_parsed(path, number, text.strip()) for number, text in lines_of(path)]
    if not lines:
        raise DataError(f'The list {path} names no image: write a path in each line.')
    once: dict[str, Line] = {}
    for line in lines:
        first = once.setdefault(normpath(line.name), line)
        if labelled and (line.label is None or line.label < 0):
            raise _refusal(path, line, 'has no label', 'write the number of its class behind the path, or take '
                           'type="ImageList" for images without labels')
        if (line.label is None) != (lines[0].label is None):
            raise _refusal(path, line, f'has {"no" if line.label is None else "a"} label, unlike line '
                           f'{lines[0].number}', 'give all images labels, or none')
        if first.label != line.label:
            raise _refusal(path, line, f'has another label than the same image in line {first.number}',
                           'give each image one')
    if again := len(lines) - len(once):
        warn_once(path, f'{len(once)} images in {path}; {again} further line(s) name images that are listed already.')
    return [*once.values()]


def _parsed(path: str, number: int, text: str) -> Line:
    found = _LABELLED.fullmatch(text)
    name, label = (found[1] or found[3], int(found[2] or found[4])) if found else (text, None)
    name = name[1:-1] if len(name) > 2 and name[0] == name[-1] == '"' else name
    line = Line(number, text, name, label)
    if not name.lower().endswith(IMAGE_EXTENSIONS) and (word := _WORDED.fullmatch(text)):
        raise _refusal(path, line, f'ends in {printable(word[1])!r}, which is no number of a class', 'give each class '
                       'a number, from 0 on, and write that behind the path, with a space between')
    if label is not None and label < -1:
        raise _refusal(path, line, f'has the label {label}', 'number the classes from 0 on')
    return line


def _refusal(path: str, line: Line, fault: str, remedy: str) -> DataError:
    return DataError(f'Line {line.number} of {path} ({printable(line.text)[:80]}) {fault}: {remedy}.')


@DATASETS.register_module()
class ImageList(CustomDataset):
    """The images that the text file ``ann_file`` lists, with labels or without: MMSelfSup's ``ImageList``."""

    def __init__(self, ann_file: str, **kwargs: Any) -> None:
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Paths, and labels, -1 for none."""
        return [dict(img_path=join_path(self.img_prefix, line.name), gt_label=-1 if line.label is None else line.label)
                for line in read_image_list(self.ann_file)]


def _lines_for_mmcls(path: str, **_: Any) -> list[str]:
    """``PATH LABEL`` in the one form that ``CustomDataset`` reads."""
    return [f'{line.name} {line.label}' for line in read_image_list(path, labelled=True)]


# By this name MMClassification's datasets of images with labels read their lists, and take each line for sound.
read_image_lists_by(_lines_for_mmcls)
