"""What the first bytes of an image file say of it, and decoding it to 8-bit colour."""

import io
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from clim_mm.causes import machine_error

_SIGNATURES = {
    b'\xff\xd8\xff': 'JPEG', b'\x89PNG\r\n\x1a\n': 'PNG', b'GIF8': 'GIF', b'BM': 'BMP', b'II*\0': 'TIFF',
    b'MM\0*': 'TIFF', b'II+\0': 'TIFF', b'MM\0+': 'TIFF', b'\0\0\0\x0cjP': 'JPEG 2000', b'\xff\x4f\xff\x51': 'JPEG 2000'
}
_ORIENTATION = 274  # of EXIF, and of TIFF
_BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _EXTRA, _FORMAT = 258, 262, 277, 284, 338, 339  # tags of TIFF
_WHITE_IS_ZERO, _CMYK, _SEPARATE, _NO_UNSIGNED = 0, 5, 2, (2, 3, 5, 6)  # values of them
_AVIF_BOXES = 4096  # bytes: what stands before the pictures
# By EXIF's orientation: whether rows become columns, and what is mirrored then (OpenCV's codes).
_UPRIGHT = {2: (False, 1), 3: (False, -1), 4: (False, 0), 5: (True, None), 6: (True, 1), 7: (True, -1), 8: (True, 0)}
_BACK = {6: 8, 8: 6}  # the other ways are their own way back

ALPHA, FURTHER = 'alpha', 'further band'


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        kind: JPEG, PNG ...; empty if the decoder is not known to read it.
        fault: Why it is not to be decoded; OpenCV would give something else than the picture.
        bits: Of a sample: 8, or 16 for all above.
        white: The value of white, where it is not the largest of 8 or 16 bits.
        extra: ALPHA, FURTHER or nothing.
        plain: Whether its values stand in the file as they are to be seen.
        orientation: EXIF's, where OpenCV does not follow it, and of TIFF, where it always does; else 1.
    """

    kind: str
    fault: str = ''
    bits: int = 8
    white: Optional[int] = None
    extra: str = ''
    plain: bool = True
    orientation: int = 1


def header_of(content: bytes) -> Header:
    """Look at the first bytes, and at the directory of a TIFF; no pixel is decoded."""
    kind = next((name for signature, name in _SIGNATURES.items() if content.startswith(signature)), '')
    if kind == 'PNG':
        by_colour = b'tRNS' in content[:content.find(b'IDAT')]  # of a palette, or one colour
        extra = ALPHA if by_colour or content[25:26] in (b'\4', b'\6') else ''
        return Header(kind, bits=16 if content[24:25] == b'\x10' else 8, extra=extra)
    if kind == 'TIFF':
        with suppress(Exception):  # for a damaged directory Pillow raises whatever it likes
            return _of_tiff(content)
    if kind == 'JPEG 2000':
        place = content[:200].find(b'ihdr')  # height, width, number of components, their bits less 1
        channels, bits = (content[place + 13], content[place + 14] + 1) if 0 <= place < len(content) - 14 else (3, 8)
        return Header(kind, bits=16 if bits == 16 else 8, extra=FURTHER if channels in (2, 4) else '')
    if content[:4] == b'RIFF' and content[8:12] == b'WEBP':
        flags = int.from_bytes(content[20:21], 'big') if content[12:16] == b'VP8X' else 0
        return Header('WebP', extra=ALPHA if flags & 16 else '', orientation=_orientation(content) if flags & 8 else 1)
    if content[4:8] == b'ftyp' and re.search(b'avi[fs]', content[8:32]):
        extra = ALPHA if b'auxiliary:alpha' in content[:_AVIF_BOXES] else ''
        return Header('AVIF', extra=extra, orientation=_orientation(content))
    if re.match(rb'P[1-6]\s', content):
        words = re.sub(rb'#[^\n]*', b'', content[:1000]).split(maxsplit=4)  # kind, width, height and value of white
        if words[0] in (b'P1', b'P4') or len(words) < 4 or not words[3].isdigit():
            return Header('PNM')
        white = int(words[3])
        done_by_opencv = white in (255, 65535) or (white < 255 and words[0] in (b'P2', b'P3'))
        return Header('PNM', bits=8 if white < 256 else 16, white=None if done_by_opencv else white)
    return Header(kind)


def _of_tiff(content: bytes) -> Header:
    directory = ImageFileDirectory_v2(content[:16] if content[2:3] == b'+' or content[3:4] == b'+' else content[:8])
    file = io.BytesIO(content)
    file.seek(directory.next)
    directory.load(file)
    bits, numbers = max(directory.get(_BITS, (1, ))), max(directory.get(_FORMAT, (1, )))
    samples, extra, photometric = directory.get(_SAMPLES, 1), directory.get(_EXTRA, ()), directory.get(_PHOTOMETRIC)
    is_read = samples <= 4 and numbers not in _NO_UNSIGNED and bits in (1, 2, 4, 8, 10, 12, 14, 16)
    fault = f'a TIFF of {samples} channel(s) of {bits} bits, sample format {numbers}, is not read'
    return Header(
        'TIFF',
        fault='' if is_read and not (photometric == _CMYK and bits > 8) else fault,
        bits=8 if bits <= 8 else 16,
        white=65535 if bits in (10, 12, 14) else None,  # OpenCV gives these as 16 bits
        extra=FURTHER if 0 in extra else ALPHA if extra else '',
        plain=photometric != _WHITE_IS_ZERO and samples != 2 and (samples == 1 or directory.get(_PLANES) != _SEPARATE),
        orientation=directory.get(_ORIENTATION, 1))


def _orientation(content: bytes) -> int:
    with suppress(Exception), Image.open(io.BytesIO(content)) as image:
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def decode(content: bytes, header: Header, max_value: Optional[int] = None,
           upright: bool = True) -> Optional[np.ndarray]:
    """Decode an image to (H, W, 3) uint8, BGR; all formats alike. None if it cannot be decoded as asked.

    Args:
        max_value: Value of white in a file of 16 bits that states none. None takes the upper 8 bits.
        upright: Turn it as its EXIF data say.
    """
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    white = header.white or (max_value if header.bits == 16 else None)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags | (cv2.IMREAD_ANYDEPTH if white else 0))
    except cv2.error as error:
        if 'CV_IO_MAX_IMAGE' in str(error) or machine_error(error):
            raise
        return None
    if image is not None and white:
        if not header.plain or image.dtype != (np.uint16 if header.bits == 16 else np.uint8):
            return None
        image = cv2.convertScaleAbs(image, alpha=255 / white)  # rounded, and cut at 255
    turned_by_opencv = header.kind == 'TIFF'  # in any case
    if image is None or upright == turned_by_opencv:
        return image
    orientation = _BACK.get(header.orientation, header.orientation) if turned_by_opencv else header.orientation
    transpose, mirror = _UPRIGHT.get(orientation, (False, None))
    image = cv2.transpose(image) if transpose else image
    return image if mirror is None else cv2.flip(image, mirror)
