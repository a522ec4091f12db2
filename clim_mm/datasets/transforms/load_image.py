"""Reading an image file, from whatever storage; and warnings about images, given once."""

import errno
import io
import logging
import os
import stat
from contextlib import suppress
from functools import partial
from typing import Optional

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import dist
from mmengine.fileio import BaseStorageBackend, get_file_backend
from mmengine.logging import print_log
from PIL import ExifTags, Image, ImageOps
from torch.utils.data import get_worker_info

from clim_mm.causes import machine_error
from clim_mm.checks import check_whole
from clim_mm.errors import ConfigError, UnreadableImage, UserError, on_one_line, printable
from clim_mm.registry import TRANSFORMS
from clim_mm.storage import patiently

DARK = 64  # [ours] of 256: no value of a 16-bit image beyond it looks like fewer bits in a file of 16
_warned: set[str] = set()
_NOT_READ = 'it is cut off or damaged, or of a kind that is not read'


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, whose every failure names the file, the reason and the remedy.

    All formats are read alike: grey, CMYK, palette and 16-bit images become 8-bit colour; EXIF's orientation is
    followed; of several pages or frames the first is taken. Transparency and a fourth band are left out, except in TIFF
    files, whose transparency libtiff blends with black.

    Args:
        min_side: Images with a shorter side, in pixels, count as unreadable: no view of them shows anything
            [ours].
        max_value: Value of white in 16-bit images, such as 4095 for 12 bits, 1 to 65535. None takes their upper 8 bits.
    """

    def __init__(self, min_side: int = 4, max_value: Optional[int] = None, backend_args: Optional[dict] = None) -> None:
        check_whole('min_side of LoadImage', min_side, least=1)
        check_whole('max_value of LoadImage', max_value, least=1, most=65535, optional=True)
        super().__init__(backend_args=backend_args)
        self.min_side = min_side
        self.max_value = max_value

    def transform(self, results: dict) -> dict:
        """Add ``img``, (H, W, 3) uint8, BGR."""
        path = results['img_path']
        try:
            image = patiently(partial(self._load, path), path)
        except UserError:
            raise
        except Exception as error:  # the decoders raise whatever they like
            if not isinstance(error, PermissionError) and (fault := machine_error(error)):
                raise fault from error
            reason = (error.strerror or on_one_line(error) if isinstance(error, OSError) else
                      'it claims to have more pixels than OPENCV_IO_MAX_IMAGE_PIXELS admits'
                      if 'CV_IO_MAX_IMAGE' in str(error) else _NOT_READ if isinstance(error, cv2.error) else
                      f'{type(error).__name__}: {on_one_line(error)}')
            raise UnreadableImage.of(path, reason) from error
        height, width = shape = image.shape[:2]
        if min(height, width) < self.min_side:
            raise UnreadableImage.of(path, f'{width}x{height} pixels are too few, min_side is {self.min_side}')
        return dict(results, img=image, img_shape=shape, ori_shape=shape)

    def _load(self, path: str) -> np.ndarray:
        content = content_of(path, self.backend_args)
        if not content:
            raise UnreadableImage.of(path, 'the file is empty')
        data = np.frombuffer(content, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image is not None and image.dtype != np.uint8:
            image = self._in_8_bits(path, image, cv2.imdecode(data, cv2.IMREAD_COLOR))
        if image is None:
            raise UnreadableImage.of(path, _NOT_READ)
        is_webp, is_avif = content[8:12] == b'WEBP', content[4:12] in (b'ftypavif', b'ftypavis')
        # Of other formats OpenCV has followed the orientation.
        return _turned(image, content) if is_avif or (is_webp and b'EXIF' in content) else image

    def _in_8_bits(self, path: str, image: np.ndarray, upper: Optional[np.ndarray]) -> Optional[np.ndarray]:
        """An image of 16 bits, by itself and as OpenCV reduces it; None for signed and floating-point values."""
        if upper is None or image.dtype != np.uint16:
            return None
        if self.max_value is not None:  # of TIFF files in planes, or where 0 is white, OpenCV gives wrong 16 bits
            is_sound = (abs(image / 256 - upper) <= 1).all()
            return cv2.convertScaleAbs(image, alpha=255 / self.max_value) if is_sound else None
        if (largest := int(upper.max())) < DARK:
            warn_once('depth of images', f'{printable(path)} has 16 bits, but no value above {256 * largest + 255}, so '
                      f'that {largest + 1} of 256 levels are left in 8 bits: set '
                      f'max_value={256 * 2**largest.bit_length() - 1} of every LoadImage in the config, if the other '
                      'images are like it.')
        return upper


def _turned(image: np.ndarray, content: bytes) -> np.ndarray:
    """The image upright, by the file's EXIF data."""
    with suppress(Exception), Image.open(io.BytesIO(content)) as file:  # whatever Pillow raises for odd EXIF data
        picture = Image.fromarray(image)
        picture.getexif()[ExifTags.Base.Orientation] = file.getexif().get(ExifTags.Base.Orientation, 1)
        return np.array(ImageOps.exif_transpose(picture))
    return image


def content_of(path: str, backend_args: Optional[dict] = None) -> bytes:
    """What a file holds; OSError for a pipe or a device, which might never end."""
    with suppress(FileNotFoundError):  # perhaps it is no local file
        if not (stat.S_ISREG(mode := os.stat(path).st_mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, 'it is a pipe or a device')
    return backend_of(path, backend_args).get(path)


def backend_of(path: str, backend_args: Optional[dict] = None) -> BaseStorageBackend:
    """The backend that reads a file or folder, one a process and setting, as MMEngine chooses it."""
    try:
        return get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except (KeyError, TypeError, ImportError) as error:  # of a name, a setting or a package that there is not
        raise ConfigError(f'The storage of {printable(path)} cannot be used with backend_args={backend_args} '
                          f'({type(error).__name__}: {on_one_line(error)}): correct backend_args of LoadImage, or what '
                          'stands before :// in the path.') from error


def warn_once(topic: str, sentence: str) -> None:
    """Log a warning the first time about its topic, in the first process and its first worker alone."""
    worker = get_worker_info()
    if topic not in _warned and dist.is_main_process() and (worker is None or worker.id == 0):
        _warned.add(topic)
        print_log(sentence, logger='current', level=logging.WARNING)
