"""From the bytes of an image file to 8-bit colours."""

from typing import Optional

import cv2
import numpy as np

from .image_header import Header

# By EXIF's orientation: whether rows become columns, and what is mirrored then (OpenCV's codes).
_UPRIGHT = {2: (False, 1), 3: (False, -1), 4: (False, 0), 5: (True, None), 6: (True, 1), 7: (True, -1), 8: (True, 0)}

_BACK = {6: 8, 8: 6}  # the other ways are their own way back


def decode(content: bytes, header: Header, max_value: Optional[int] = None, upright: bool = True
           ) -> Optional[np.ndarray]:
    """Decode an image as all formats are meant to be seen.

    Args:
        content: Of the file.
        header: What it says of itself.
        max_value: Value of white in a file of 16 bits that states none. None takes the upper 8 bits.
        upright: Turn it as its EXIF data say.

    Returns:
        (H, W, 3) uint8, BGR; None if the decoder finds no image in it, or its values do not stand there as they are
        to be seen, and ``max_value`` asks for them.
    """
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    white = header.white or (max_value if header.bits == 16 else None)
    if white is None:
        image = _decoded(content, flags)
    else:
        image = _scaled(_decoded(content, flags | cv2.IMREAD_ANYDEPTH), header, white)
    by_itself = header.kind == 'TIFF'  # OpenCV turns these in any case
    if image is None or upright == by_itself:
        return image
    return _turned(image, _BACK.get(header.orientation, header.orientation) if by_itself else header.orientation)


def _decoded(content: bytes, flags: int) -> Optional[np.ndarray]:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(error.err) from error
        if 'CV_IO_MAX_IMAGE' in str(error):
            raise
        return None


def _scaled(image: Optional[np.ndarray], header: Header, white: int) -> Optional[np.ndarray]:
    if image is None or not header.plain or image.dtype != (np.uint16 if header.bits == 16 else np.uint8):
        return None
    return cv2.convertScaleAbs(image, alpha=255 / white)  # rounded, and cut at 255


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation not in _UPRIGHT:
        return image
    transpose, mirror = _UPRIGHT[orientation]
    image = cv2.transpose(image) if transpose else image
    return image if mirror is None else cv2.flip(image, mirror)
