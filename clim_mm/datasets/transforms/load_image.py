"""Read an image, or say which one could not be read."""

import errno
import os
import stat
from contextlib import suppress
from functools import partial

from mmcv.image.io import supported_backends
from mmcv.transforms import LoadImageFromFile

from clim_mm.checks import check_choice, check_whole
from clim_mm.errors import DataError, StorageError, UnreadableImage, on_one_line, printable
from clim_mm.registry import TRANSFORMS
from clim_mm.storage import patiently

_FAULTS_OF_THE_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_COLOR_TYPES = ('color', 'color_ignore_orientation')


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, whose every failure names the file, the reason and the remedy.

    Grey, CMYK, palette and 16-bit images become 8-bit colour. Transparency is left out, except in TIFF files, which
    libtiff blends with black.

    Args:
        min_side: Images with a shorter side, in pixels, count as unreadable: no view of them shows anything
            [ours].
        **kwargs: As for ``mmcv.LoadImageFromFile``.

    Raises:
        ConfigError: If ``min_side`` is below 1, or the images would not be colour images.
        UnreadableImage: If the file is missing, is no image, is cut off, or is too small or too large.
        StorageError: If the disk or the network fails for a minute.
        DataError: If the process has no memory, or may open no further file.
    """

    def __init__(self, min_side: int = 4, **kwargs) -> None:
        check_whole('min_side of LoadImage', min_side, least=1)
        check_choice('color_type of LoadImage', kwargs.get('color_type', 'color'), _COLOR_TYPES)
        check_choice('imdecode_backend of LoadImage', kwargs.get('imdecode_backend', 'cv2'), supported_backends)
        super().__init__(**kwargs)
        self.min_side = min_side

    def transform(self, results: dict) -> dict:
        """Add ``img``, (H, W, 3) uint8, BGR."""
        path = results['img_path']
        try:
            loaded = patiently(partial(self._load, results), path)
        except StorageError:
            raise
        except Exception as error:  # the decoders raise whatever they like
            if isinstance(error, MemoryError) or getattr(error, 'errno', None) in _FAULTS_OF_THE_PROCESS:
                raise DataError(f'Cannot read the image {printable(path)} ({type(error).__name__}: '
                                f'{on_one_line(error)}), for which the file is not to blame: let the process open more '
                                'files, or take less memory, as with fewer workers.') from error
            raise UnreadableImage.of(path, _reason(path, error)) from error
        height, width = loaded['img'].shape[:2]
        if min(height, width) < self.min_side:
            raise UnreadableImage.of(path, f'{width}x{height} pixels are too few, min_side is {self.min_side}')
        return loaded

    def _load(self, results: dict) -> dict:
        _refuse_endless(results['img_path'])
        return super().transform(results)


def _refuse_endless(path: str) -> None:
    """A pipe or a device might never end."""
    with suppress(FileNotFoundError):  # perhaps it is no local file
        if not (stat.S_ISREG(mode := os.stat(path).st_mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, 'it is a pipe or a device')


def _reason(path: str, error: Exception) -> str:
    """Why a file gave no image, in a few words."""
    if isinstance(error, OSError):
        return error.strerror or on_one_line(error)
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        return 'the file is empty'
    if 'CV_IO_MAX_IMAGE' in str(error):
        return 'it claims to have more pixels than OPENCV_IO_MAX_IMAGE_PIXELS admits'
    if isinstance(error, AssertionError):  # mmcv's, if the decoder gives nothing
        return 'it is cut off or damaged, or in no format that the decoder knows'
    return f'{type(error).__name__}: {on_one_line(error)}'
