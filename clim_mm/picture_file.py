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
    """Check before long work that a picture can be written to ``path``.

    Args:
        name: Of the setting, to begin the sentence with.
        path: Whose ending gives the format.

    Raises:
        ConfigError: If the ending is none of ``FORMATS``.
    """
    check_choice(f'The ending of {name}', _ending(path), FORMATS)


def write_picture(figure: 'Figure', path: str, dpi: int = 130) -> None:
    """Write a figure as a whole or not at all; its folder is made if it is not there.

    Args:
        figure: Of matplotlib's.
        path: Whose ending gives the format.
        dpi: Pixels to the inch.

    Raises:
        ConfigError: As :func:`check_picture`.
        CheckpointError: If it cannot be written.
    """
    check_picture(path, path)
    file = io.BytesIO()
    figure.savefig(file, format=_ending(path), dpi=dpi)
    write_atomically(path, file.getvalue())


def encoded(image: 'Image', kind: str, **options: Any) -> bytes:
    """What a file of an image holds. Pillow's own writing leaves parts of files on a full disk, and says nothing.

    Args:
        image: Of Pillow's.
        kind: Pillow's name of the format, such as ``JPEG``.
        options: For Pillow's ``save``.
    """
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _ending(path: str) -> str:
    return osp.splitext(path)[1].lower().removeprefix('.')
