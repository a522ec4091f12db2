"""Reading an image file."""

import errno
import os
import stat
from contextlib import suppress
from functools import partial
from typing import Any, Optional

import numpy as np
from mmcv.transforms import LoadImageFromFile

from clim_mm.causes import machine_error
from clim_mm.checks import check_choice, check_whole
from clim_mm.errors import UnreadableImage, UserError, on_one_line, printable
from clim_mm.registry import TRANSFORMS
from clim_mm.storage import patiently

from ..find_images import backend_of, warn_once
from ..image_formats import ALPHA, Header, decode, header_of

DARK = 64  # [ours] of 256: no value of a 16-bit image beyond it looks like fewer bits in a file of 16


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, whose every failure names the file, the reason and the remedy.

    All formats are read alike: grey, CMYK, palette and 16-bit images become 8-bit colour; EXIF's orientation is
    followed; of several pages or frames the first is taken. Transparency and a fourth band are left out, which is told
    once; except in TIFF files, whose transparency libtiff blends with black.

    Args:
        min_side: Images with a shorter side, in pixels, count as unreadable: no view of them shows anything
            [ours].
        max_value: Value of white in 16-bit images whose file states none, such as 4095 for 12 bits, 1 to 65535. None
            takes their upper 8 bits.
        to_float32, backend_args: As for ``mmcv.LoadImageFromFile``.
        color_type: ``color``, or ``color_ignore_orientation``.
        imdecode_backend: ``cv2``: the others turn, blend or scale in their own ways.
    """

    def __init__(self, min_side: int = 4, max_value: Optional[int] = None, to_float32: bool = False,
                 color_type: str = 'color', imdecode_backend: str = 'cv2', backend_args: Optional[dict] = None) -> None:
        check_whole('min_side of LoadImage', min_side, least=1)
        check_whole('max_value of LoadImage', max_value, least=1, most=65535, optional=True)
        check_choice('color_type of LoadImage', color_type, ('color', 'color_ignore_orientation'))
        check_choice('imdecode_backend of LoadImage', imdecode_backend, ('cv2', ))
        super().__init__(to_float32=to_float32, color_type=color_type, backend_args=backend_args)
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
                      if 'CV_IO_MAX_IMAGE' in str(error) else f'{type(error).__name__}: {on_one_line(error)}')
            raise UnreadableImage.of(path, reason) from error
        height, width = shape = image.shape[:2]
        if min(height, width) < self.min_side:
            raise UnreadableImage.of(path, f'{width}x{height} pixels are too few, min_side is {self.min_side}')
        results.update(img=image.astype(np.float32) if self.to_float32 else image, img_shape=shape, ori_shape=shape)
        return results

    def _load(self, path: str) -> np.ndarray:
        with suppress(FileNotFoundError):  # perhaps it is no local file
            if not (stat.S_ISREG(mode := os.stat(path).st_mode) or stat.S_ISDIR(mode)):
                raise OSError(errno.EINVAL, 'it is a pipe or a device')  # which might never end
        content = backend_of(path, self.backend_args).get(path)
        header = header_of(content)
        if header.fault:
            raise UnreadableImage.of(path, header.fault)
        if self.max_value is not None and header.bits == 16 and header.white is None and not header.plain:
            raise UnreadableImage.of(path, 'max_value is not for 16 bits in planes, with alpha or with 0 for white')
        image = decode(content, header, self.max_value, upright=self.color_type == 'color') if content else None
        if image is None:
            reason = 'it is cut off or damaged, or of a rare kind' if header.kind else (
                'it is in no image format that the decoder knows' if content else 'the file is empty')
            raise UnreadableImage.of(path, reason)
        self._tell_of_losses(path, header, image)
        return image

    def _tell_of_losses(self, path: str, header: Header, image: np.ndarray) -> None:
        if header.extra:
            what = 'transparency' if header.extra == ALPHA else 'a further band beside its colours'
            fate = 'blended with black' if (header.kind, header.extra) == ('TIFF', ALPHA) else 'left out'
            warn_once(f'{header.kind} with {header.extra}',
                      f'{printable(path)} has {what}, which is {fate} here and in all images like it.')
        is_deep = header.bits == 16 and header.white is None and self.max_value is None
        if is_deep and (largest := int(image.max())) < DARK:
            warn_once('depth of images',
                      f'{printable(path)} {loss_of_depth(largest)}, if the other images are like it.')


def loss_of_depth(largest: int) -> str:
    """What becomes of 16-bit images, and the remedy, by the largest value of their upper 8 bits."""
    return (f'has 16 bits, but no value above {256 * largest + 255}, so that {largest + 1} of 256 levels are left in 8 '
            f'bits: set max_value={256 * 2**largest.bit_length() - 1} of every LoadImage in the config')


def loader_of(dataset: Any) -> LoadImage:
    """The LoadImage of a dataset's pipeline, also within its PairViews; with its defaults where that has none."""
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    of_pairs = [part for pairs in transforms for part in getattr(getattr(pairs, 'load', None), 'transforms', ())]
    return next((part for part in (*transforms, *of_pairs) if isinstance(part, LoadImage)), LoadImage())
