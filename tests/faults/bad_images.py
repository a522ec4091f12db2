"""Images that are cut off, altered, of other formats, or sound but unusual."""

import io
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiff_files import tiff

HEIGHT, WIDTH = 36, 48


@dataclass(frozen=True)
class BadImage:
    """A file as it is written.

    Attributes:
        name: Of the file.
        content: Its bytes.
        pixels: (H, W, 3) uint8, RGB, that are to be read; None if nothing is.
        tolerance: How far a value may be off: formats that lose something, decoders that round differently.
        may_be_refused: Whether the quarantine is as good as these pixels.
    """

    name: str
    content: bytes
    pixels: Optional[np.ndarray] = None
    tolerance: int = 0
    may_be_refused: bool = False


def bad_images(rng: random.Random) -> Iterator[BadImage]:
    """All of them, with names of their own."""
    picture = colors(rng)
    files = formats(Image.fromarray(picture))
    for name, content in files.items():
        decoded = decode(content)
        yield BadImage(f'whole_{name}', content, decoded, 3 if 'cmyk' in name else 1)
        for cut in sorted(rng.sample(range(1, len(content)), 3)):
            # A cut behind the last pixel may leave all of them.
            yield BadImage(f'cut_at_{cut}_{name}', content[:cut], decoded, may_be_refused=True)
        for place in rng.sample(range(len(content)), 2 if name.endswith('png') else 0):
            # Other formats have no checksums: there a flipped bit is another picture, which no decoder can tell.
            flipped = content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1:]
            yield BadImage(f'flipped_at_{place}_{name}', flipped, decoded, may_be_refused=True)
    yield from unusual(picture)
    yield from impossible(files, rng)


def colors(rng: random.Random) -> np.ndarray:
    """(H, W, 3) uint8: blocks of colours, which every format keeps well."""
    blocks = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (3, 4, 3))
    return np.kron(blocks, np.ones((HEIGHT // 3, WIDTH // 4, 1))).astype(np.uint8)


def formats(picture: Image.Image) -> dict[str, bytes]:
    """The picture in every format that a training set may have."""
    grey, palette = picture.convert('L'), picture.quantize(16)
    return {
        'rgb.jpg': encoded(picture, 'JPEG', quality=95), 'progressive.jpg': encoded(picture, 'JPEG', progressive=True),
        'grey.jpeg': encoded(grey, 'JPEG'), 'cmyk.jpg': encoded(picture.convert('CMYK'), 'JPEG', quality=95),
        'rgb.png': encoded(picture, 'PNG'), 'grey.png': encoded(grey, 'PNG'), 'palette.png': encoded(palette, 'PNG'),
        'rgb.bmp': encoded(picture, 'BMP'), 'palette.bmp': encoded(palette, 'BMP'),
        'rgb.tif': encoded(picture, 'TIFF'), 'lzw.tiff': encoded(picture, 'TIFF', compression='tiff_lzw'),
        'deflate.tif': encoded(picture, 'TIFF', compression='tiff_adobe_deflate'),
        'lossy.webp': encoded(picture, 'WEBP', quality=95), 'lossless.webp': encoded(picture, 'WEBP', lossless=True),
        'rgb.ppm': encoded(picture, 'PPM'), 'grey.pgm': encoded(grey, 'PPM'), 'palette.gif': encoded(palette, 'GIF'),
        'rgb.avif': encoded(picture, 'AVIF', quality=95, subsampling='4:4:4'), 'rgb.jp2': encoded(picture, 'JPEG2000')
    }


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture's file in a format of PIL's."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decode(content: bytes) -> Optional[np.ndarray]:
    """What PIL sees, RGB, without transparency; None if that is nothing."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert('RGB'))
    except Exception:  # it raises whatever it likes
        return None


def unusual(picture: np.ndarray) -> Iterator[BadImage]:
    """Sound images that a careless reader gets wrong. What is right is known from how they are made."""
    image, alpha = Image.fromarray(picture), np.full(picture.shape[:2], 7, np.uint8)
    grey = picture[..., 0]
    thrice = np.repeat(grey[..., None], 3, axis=2)
    black_and_white = np.where(thrice > 127, 255, 0).astype(np.uint8)
    deep = picture.astype(np.uint16) * 257
    see_through = Image.fromarray(np.dstack([picture, alpha]))
    yield BadImage('alpha.png', encoded(see_through, 'PNG'), picture)
    yield BadImage('invisible.png', encoded(Image.fromarray(np.dstack([picture, 0 * alpha])), 'PNG'), picture)
    yield BadImage('alpha.webp', encoded(see_through, 'WEBP', lossless=True, exact=True), picture)
    yield BadImage('alpha.tif', encoded(see_through, 'TIFF'), np.rint(picture * (7 / 255)), 1)  # blended with black
    yield BadImage('grey_alpha.png', encoded(Image.fromarray(np.dstack([grey, alpha])), 'PNG'), thrice)
    yield BadImage('grey16.png', encoded(Image.fromarray(deep[..., 0]), 'PNG'), thrice, 1)
    yield BadImage('grey16.tif', encoded(Image.fromarray(deep[..., 0]), 'TIFF'), thrice, 1)
    yield BadImage('rgb16.png', png(deep, 16, 2), picture, 1)
    yield BadImage('rgba16.png', png(np.dstack([deep, deep[..., :1]]), 16, 6), picture, 1)
    yield BadImage('grey_alpha16.png', png(deep[..., :2], 16, 4), thrice, 1)
    yield BadImage('rgb16.ppm', b'P6 %d %d 65535\n' % (WIDTH, HEIGHT) + deep.astype('>u2').tobytes(), picture, 1)
    yield BadImage('bits.png', encoded(Image.fromarray(black_and_white[..., 0] > 0), 'PNG'), black_and_white)
    yield BadImage('bits.tif', encoded(Image.fromarray(black_and_white[..., 0] > 0), 'TIFF'), black_and_white)
    yield BadImage('bits.bmp', encoded(Image.fromarray(black_and_white[..., 0] > 0), 'BMP'), black_and_white)
    palette = image.quantize(16)
    shown = np.asarray(palette.convert('RGB'))
    yield BadImage('see_through_palette.png', encoded(palette, 'PNG', transparency=3), shown)
    yield BadImage('see_through_rgb.png', encoded(image, 'PNG', transparency=tuple(picture[0, 0].tolist())), picture)
    yield BadImage('text.ppm', b'P3\n# a comment\n%d %d\n255\n' % (WIDTH, HEIGHT) +
                   b' '.join(b'%d' % value for value in picture.ravel()) + b'\n', picture)
    yield BadImage('cmyk_colors.jpg', encoded(image.convert('CMYK'), 'JPEG', quality=100, subsampling=0), picture, 12)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = encoded(image, 'JPEG', quality=95, exif=exif)
        yield BadImage(f'turned_{orientation}.jpg', content, decode(content), 1)
        content = encoded(image, 'WEBP', lossless=True, exif=exif)
        yield BadImage(f'turned_{orientation}.webp', content, decode(content))
        content = encoded(image, 'AVIF', quality=95, subsampling='4:4:4', exif=exif)
        yield BadImage(f'turned_{orientation}.avif', content, decode(content), 1)
    yield BadImage('really_png.jpg', encoded(image, 'PNG'), picture)
    yield BadImage('really_bmp.png', encoded(image, 'BMP'), picture)
    yield BadImage('interlaced.png', encoded(image, 'PNG', interlace=1), picture)
    yield BadImage('bomb_in_a_comment.png', png(picture, 8, 2, zTXt=b'a\0\0' + zlib.compress(bytes(10**8))), picture)
    yield BadImage('NAME IN CAPITALS.PNG', encoded(image, 'PNG'), picture)
    yield BadImage('ümlaut 图 .png', encoded(image, 'PNG'), picture)
    pages = dict(save_all=True, append_images=[palette.convert('RGB')])
    yield BadImage('animated.webp', encoded(image, 'WEBP', lossless=True, **pages), picture)
    yield BadImage('animated.gif', encoded(palette, 'GIF', **pages), shown)
    twelve_bits = deep[..., 0] >> 4
    stated = b'P5 %d %d 4095\n' % (WIDTH, HEIGHT)
    yield BadImage('twelve_bits.pgm', stated + twelve_bits.astype('>u2').tobytes(), thrice >> 4)
    yield BadImage('twelve_bits.tif', tiff(twelve_bits, bits=12))
    yield BadImage('four_bands.tif', tiff(np.dstack([picture, alpha]), extra=(0, )), picture)
    yield BadImage('two_pages.tif', encoded(image, 'TIFF', **pages), picture)
    yield BadImage('smallest.png', encoded(Image.fromarray(picture[:4, :4]), 'PNG'), picture[:4, :4])
    long = np.tile(picture[:4], (1, 400, 1))
    yield BadImage('long.png', encoded(Image.fromarray(long), 'PNG'), long)


def impossible(files: dict[str, bytes], rng: random.Random) -> Iterator[BadImage]:
    """What no picture can be made of, or none that shows anything."""
    dot = np.full((1, 1, 3), 9, np.uint8)
    noise = np.random.default_rng(rng.randrange(2**32)).bytes(5000)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as target:
        target.writestr('a.png', files['rgb.png'])
    contents = {
        'empty.jpg': b'', 'empty.png': b'', 'newline.png': b'\n', 'words.jpg': b'hello world\n' * 99,
        'line\nbreak.png': b'', 'noise.png': noise, 'noise.jpg': noise, 'zeros.bmp': bytes(5000),
        'web_page.jpg': b'<!DOCTYPE html><html><body>404</body></html>',
        'json.png': b'{"error": "not found"}', 'archive.png': archive.getvalue(), 'array.png': _npy(),
        'svg.png': b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 'pdf.jpg': b'%PDF-1.7\n%%EOF\n',
        'link_of_git_lfs.jpg': b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n',
        'signature.png': files['rgb.png'][:8], 'signature.jpg': files['rgb.jpg'][:3],
        'signature.webp': b'RIFF\0\0\0\0WEBP', 'signature.tif': b'II*\0', 'signature.ppm': b'P6',
        'signature.bmp': b'BM',
        'no_data.png': _chunked([(b'IHDR', _header(9, 9, 8, 2)), (b'IEND', b'')]),
        'no_pixels.png': _chunked([(b'IHDR', _header(0, 0, 8, 2)), (b'IDAT', zlib.compress(b'')), (b'IEND', b'')]),
        'wrong_checksum.png': files['rgb.png'][:30] + b'\0' + files['rgb.png'][31:],
        'no_palette.png': _chunked(
            [(b'IHDR', _header(9, 9, 8, 3)), (b'IDAT', zlib.compress(bytes(90))), (b'IEND', b'')]),
        'floats.tif': encoded(Image.fromarray(np.linspace(0, 1, 900, dtype=np.float32).reshape(30, 30)), 'TIFF'),
        'colors_of_floats.tif': tiff(np.ones((30, 30, 3), np.float32), numbers=3),
        'signed.tif': tiff(np.ones((30, 30), np.int16), numbers=2),
        'five_bands.tif': tiff(np.ones((30, 30, 5), np.uint8)),
        'heic.jpg': b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(99),
        'circular.tif': _circular_tiff(), 'one_pixel.png': encoded(Image.fromarray(dot), 'PNG'),
        'one_pixel.jpg': encoded(Image.fromarray(dot), 'JPEG'),
        'one_row.png': encoded(Image.fromarray(dot.repeat(500, 1)), 'PNG'),
        'three_columns.jpg': encoded(Image.fromarray(dot.repeat(3, 1).repeat(90, 0)), 'JPEG'),
        'claims_4_billion.png': _blank(65000, 65000, rows=3), 'claims_most.png': _blank(2**31 - 1, 2**31 - 1, rows=1),
        'claims_most.ppm': b'P6 999999 999999 255\n' + bytes(99), 'claims_most.bmp': _bmp_of(2**30, 2**30),
        'bomb_of_400_million.png': _blank(20000, 20000, rows=20000), 'negative.bmp': _bmp_of(-36, -48)
    }
    for name, content in contents.items():
        yield BadImage(name, content)


def png(pixels: np.ndarray, depth: int, kind: int, **chunks: bytes) -> bytes:
    """A PNG of one's own: (H, W, channels) of ``depth`` bits, with further chunks."""
    rows = b''.join(b'\0' + row.astype('>u2' if depth == 16 else np.uint8).tobytes() for row in pixels)
    header = _header(pixels.shape[1], pixels.shape[0], depth, kind)
    more = [(name.encode(), content) for name, content in chunks.items()]
    return _chunked([(b'IHDR', header), *more, (b'IDAT', zlib.compress(rows)), (b'IEND', b'')])


def _header(width: int, height: int, depth: int, kind: int) -> bytes:
    return struct.pack('>IIBBBBB', width, height, depth, kind, 0, 0, 0)


def _chunked(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
             for name, data in chunks]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def _blank(width: int, height: int, rows: int) -> bytes:
    """A black PNG of one bit a pixel, of which ``rows`` are there."""
    packer = zlib.compressobj()
    row = bytes(min(width // 8 + 1, 10000))
    packed = b''.join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return _chunked([(b'IHDR', _header(width, height, 1, 0)), (b'IDAT', packed), (b'IEND', b'')])


def _bmp_of(width: int, height: int) -> bytes:
    header = struct.pack('<IHHIIiiHHIIiiII', 154, 0, 0, 54, 40, width, height, 1, 24, 0, 100, 0, 0, 0, 0)
    return b'BM' + header + bytes(100)


def _circular_tiff() -> bytes:
    """A directory of one tag whose successor is itself."""
    return b'II*\0' + struct.pack('<I', 8) + struct.pack('<HHHIII', 1, 256, 3, 1, 9, 8)


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((9, 9, 3), np.uint8))
    return file.getvalue()
