"""Files of pictures: which kinds there are, and how they are written."""

import io
import os.path as osp
from typing import TYPE_CHECKING, Any

from .checkpoints import write_atomically
from .checks import check_choice

if TYPE_CHECKING:  # a command that draws nothing in the end checks the names of its pictures, too
    from matplotlib.figure import Figure
    from PIL.Image import Image

FORMATS = ('png', 'pdf', 'svg')


def check_picture(name: str, path: str) -> None:
    """Check before long work that the ending of ``path``, the value of setting ``name``, is one of ``FORMATS``."""
    check_choice(f'The ending of {name}', _ending(path), FORMATS)


def write_picture(figure: 'Figure', path: str, dpi: int = 130) -> None:
    """Write a figure as a whole or not at all, in the format of the path's ending; its folder is made."""
    check_picture(path, path)
    file = io.BytesIO()
    figure.savefig(file, format=_ending(path), dpi=dpi)
    write_atomically(path, file.getvalue())


def encoded(image: 'Image', kind: str, **options: Any) -> bytes:
    """What a file of an image holds, in Pillow's format ``kind`` with ``options`` for its ``save``.

    Pillow's own writing leaves parts of files on a full disk, and says nothing.
    """
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _ending(path: str) -> str:
    return osp.splitext(path)[1].lower().removeprefix('.')
