"""What the first bytes of an image file say of it."""

import io
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_SIGNATURES = {
    b'\xff\xd8\xff': 'JPEG', b'\x89PNG\r\n\x1a\n': 'PNG', b'GIF8': 'GIF', b'BM': 'BMP', b'II*\0': 'TIFF',
    b'MM\0*': 'TIFF', b'II+\0': 'TIFF', b'MM\0+': 'TIFF', b'\0\0\0\x0cjP': 'JPEG 2000', b'\xff\x4f\xff\x51': 'JPEG 2000'
}
# What bears the name of an image now and then; in small letters.
_OTHERS = {
    b'\xff\x0a': 'JPEG XL', b'\0\0\0\x0cjxl': 'JPEG XL', b'8bps': 'Photoshop', b'%pdf': 'PDF', b'pk\x03\x04': 'ZIP',
    b'\x93numpy': 'NumPy', b'<svg': 'SVG', b'<?xml': 'XML', b'<html': 'HTML', b'<!doctype html': 'HTML',
    b'v/1\x01': 'OpenEXR', b'version https://git-lfs': 'a pointer of Git LFS'
}
_ORIENTATION = 274  # of EXIF, and of TIFF
# Tags of TIFF, and values of them.
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES, _EXTRA, _FORMAT = 258, 259, 262, 277, 284, 338, 339
_NO_WHOLE_NUMBERS = {2: 'signed', 3: 'floating-point', 5: 'complex', 6: 'complex'}
_READABLE_BITS = (1, 2, 4, 8, 10, 12, 14, 16)
_COMMON_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)
_WHITE_IS_ZERO, _CMYK, _SEPARATE = 0, 5, 2

_AVIF_BOXES = 4096  # bytes: what stands before the pictures

ALPHA, FURTHER = 'alpha', 'further band'


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        kind: JPEG, PNG ...; empty if the decoder is not known to read it.
        fault: Why it is not read, in a few words; empty if nothing is known against it.
        doubt: What the decoder might lack for it; empty for nothing.
        bits: Of a sample: 8, or 16 for all above.
        white: The value of white, where the file states another than the largest of its 8 or 16 bits.
        extra: What it has beside its colours: ALPHA, FURTHER or nothing.
        plain: Whether its values stand in the file as they are to be seen.
        orientation: EXIF's, 1 to 8, of the formats where OpenCV does not follow it, and of TIFF, where it always does;
            else 1.
    """

    kind: str
    fault: str = ''
    doubt: str = ''
    bits: int = 8
    white: Optional[int] = None
    extra: str = ''
    plain: bool = True
    orientation: int = 1


_JPEG = Header('JPEG')


def header_of(content: bytes) -> Header:
    """Look at the first bytes, and at the directory of a TIFF; no pixel is decoded."""
    kind = next((name for signature, name in _SIGNATURES.items() if content.startswith(signature)), '')
    if kind == 'JPEG':
        return _JPEG
    if kind == 'PNG':
        by_colour = b'tRNS' in content[:content.find(b'IDAT')]  # of a palette, or one colour
        extra = ALPHA if by_colour or content[25:26] in (b'\4', b'\6') else ''
        return Header(kind, bits=16 if content[24:25] == b'\x10' else 8, extra=extra)
    if kind == 'TIFF':
        with suppress(Exception):  # for a damaged directory Pillow raises whatever it likes
            return _of_tiff(content)
    if kind == 'JPEG 2000':
        return _of_jpeg_2000(content)
    if kind:
        return Header(kind)
    if content[:4] == b'RIFF' and content[8:12] == b'WEBP':
        flags = int.from_bytes(content[20:21], 'big') if content[12:16] == b'VP8X' else 0
        return Header('WebP', extra=ALPHA if flags & 16 else '', orientation=_orientation(content, flags & 8))
    if content[4:8] == b'ftyp' and re.search(b'avi[fs]', content[8:32]):
        extra = ALPHA if b'auxiliary:alpha' in content[:_AVIF_BOXES] else ''
        return Header('AVIF', doubt='OpenCV was built without AVIF', extra=extra, orientation=_orientation(content))
    if re.match(rb'P[1-6]\s', content):
        return _of_pnm(content)
    return Header('', fault=_other(content))


def why_unread(content: bytes, header: Header) -> str:
    """Why the decoder gives nothing for a file, in a few words."""
    if header.fault:
        return header.fault
    if header.kind == 'JPEG' and (bits := _bits_of_jpeg(content)) != 8:
        return f'its samples have {bits} bits, and of JPEGs those of 8 bits are read'
    return f'it is cut off or damaged{", or " if header.doubt else ""}{header.doubt}'


def _of_tiff(content: bytes) -> Header:
    directory = ImageFileDirectory_v2(content[:16] if content[2:3] == b'+' or content[3:4] == b'+' else content[:8])
    file = io.BytesIO(content)
    file.seek(directory.next)
    directory.load(file)
    bits, numbers = max(directory.get(_BITS, (1, ))), max(directory.get(_FORMAT, (1, )))
    samples, extra = directory.get(_SAMPLES, 1), directory.get(_EXTRA, ())
    photometric, compression = directory.get(_PHOTOMETRIC), directory.get(_COMPRESSION, 1)
    fault = ''
    if samples > 4:
        fault = f'it has {samples} channels, and at most 4 are read'
    elif numbers in _NO_WHOLE_NUMBERS:
        fault = f'its values are {_NO_WHOLE_NUMBERS[numbers]} numbers; whole ones of 8 or 16 bits are read'
    elif bits not in _READABLE_BITS or (photometric == _CMYK and bits > 8):
        fault = f'its samples have {bits} bits{" of CMYK" if photometric == _CMYK else ""}; 8 or 16 of colours are read'
    return Header(
        'TIFF',
        fault=fault,
        doubt='' if compression in _COMMON_COMPRESSIONS else f'compressed as TIFF\'s {compression}, which few read',
        bits=8 if bits <= 8 else 16,
        white=65535 if bits in (10, 12, 14) else None,  # OpenCV gives these as 16 bits
        extra=FURTHER if 0 in extra else ALPHA if extra else '',
        plain=photometric != _WHITE_IS_ZERO and samples != 2 and (samples == 1 or directory.get(_PLANES) != _SEPARATE),
        orientation=directory.get(_ORIENTATION, 1))


def _of_jpeg_2000(content: bytes) -> Header:
    place = content[:200].find(b'ihdr')  # height, width, number of components, their bits less 1
    channels, bits = (content[place + 13], content[place + 14] + 1) if 0 <= place < len(content) - 14 else (3, 8)
    return Header('JPEG 2000', doubt='OpenCV was built without JPEG 2000', bits=16 if bits == 16 else 8,
                  extra=FURTHER if channels in (2, 4) else '')


def _of_pnm(content: bytes) -> Header:
    words = re.sub(rb'#[^\n]*', b'', content[:1000]).split(maxsplit=4)  # width, height and value of white follow
    if words[0] in (b'P1', b'P4') or len(words) < 4 or not words[3].isdigit():
        return Header('PNM')
    white = int(words[3])
    done_by_opencv = white in (255, 65535) or (white < 255 and words[0] in (b'P2', b'P3'))
    return Header('PNM', bits=8 if white < 256 else 16, white=None if done_by_opencv else white)


def _orientation(content: bytes, stated: int = 1) -> int:
    if stated:
        with suppress(Exception), Image.open(io.BytesIO(content)) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def _other(content: bytes) -> str:
    if not content:
        return 'the file is empty'
    start = content[:64].lstrip().lower()
    name = next((name for signature, name in _OTHERS.items() if start.startswith(signature)), '')
    if content[4:8] == b'ftyp':
        name = 'HEIC or a video'
    return f'it is {name}, which is not read' if name else 'it is in no image format that the decoder knows'


def _bits_of_jpeg(content: bytes) -> int:
    """Of a sample, by the frame's header; 8 if it is not found."""
    place = 2
    while content[place:place + 1] == b'\xff' and place + 4 < len(content):
        marker, length = content[place + 1], int.from_bytes(content[place + 2:place + 4], 'big')
        if 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):
            return content[place + 4]
        place += 2 + length
    return 8
