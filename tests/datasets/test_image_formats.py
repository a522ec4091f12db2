"""All formats are read alike: turned, cut to three colours, of the right brightness; or a sentence says why not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from tiff_files import tiff

from clim_mm.datasets import LoadImage
from clim_mm.datasets.transforms import load_image
from clim_mm.errors import UnreadableImage

# (40, 48, 5): blocks of eight pixels, so that formats that lose something keep them well.
PIXELS = np.kron(np.random.default_rng(0).integers(40, 216, (5, 6, 5)), np.ones((8, 8, 1))).astype(np.uint8)
RGB, GREY = PIXELS[..., :3], PIXELS[..., 0]
IMAGE, THRICE = Image.fromarray(RGB), np.stack([GREY] * 3, axis=-1)
DEEP = PIXELS.astype(np.uint16) * 16  # 12 bits


@pytest.fixture
def told(monkeypatch):
    """The warnings of a process that has told nothing yet."""
    sentences = []
    monkeypatch.setattr(load_image, '_warned', set())
    monkeypatch.setattr(load_image, 'print_log', lambda text, logger, level: sentences.append(text))
    return sentences


def encoded(image, format_, **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def read(tmp_path, content, **options):
    """RGB, as int."""
    (tmp_path / 'image').write_bytes(content)
    return LoadImage(**options)(dict(img_path=str(tmp_path / 'image')))['img'][..., ::-1].astype(int)


def reason(tmp_path, content, **options):
    with pytest.raises(UnreadableImage) as caught:
        read(tmp_path, content, **options)
    assert len(caught.value.reason) < 80
    return caught.value.reason


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('format_, options', [
    ('JPEG', dict(quality=95, subsampling=0)), ('PNG', {}), ('TIFF', {}), ('WEBP', dict(lossless=True)),
    ('AVIF', dict(quality=95, subsampling='4:4:4'))])
def test_every_format_is_turned_as_its_camera_was(tmp_path, format_, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(IMAGE, format_, exif=exif, **options)
    reference = Image.Exif()
    reference[0x0112] = orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(IMAGE, 'PNG', exif=reference))))
    found = read(tmp_path, content)
    assert found.shape == np.asarray(upright).shape
    assert np.abs(found - np.asarray(upright)).max() <= 8


@pytest.mark.parametrize('content, expected', [
    (encoded(IMAGE.quantize(64), 'GIF'), np.asarray(IMAGE.quantize(64).convert('RGB'))),
    (encoded(IMAGE.quantize(64), 'GIF', save_all=True, append_images=[IMAGE.rotate(180).quantize(64)]),
     np.asarray(IMAGE.quantize(64).convert('RGB'))),
    (encoded(IMAGE, 'WEBP', lossless=True, save_all=True, append_images=[IMAGE.rotate(180)]), RGB),
    (encoded(IMAGE, 'AVIF', quality=100, subsampling='4:4:4'), RGB),
    (encoded(IMAGE, 'JPEG2000'), RGB),
    (tiff(RGB), RGB),
    (tiff(RGB, planes=True), RGB),
    (tiff(PIXELS[..., :4], extra=(0, )), RGB),
    (tiff(GREY, photometric=0), 255 - THRICE),
    (tiff(DEEP[..., 0] * 16, photometric=0), 255 - THRICE),
    (tiff(DEEP[..., :3] * 16, planes=True), RGB),
], ids=['GIF', 'frames of a GIF', 'frames of a WebP', 'AVIF', 'JPEG 2000', 'TIFF', 'TIFF in planes', 'TIFF of 4 bands',
        'TIFF with white at 0', '16-bit TIFF with white at 0', '16-bit TIFF in planes'])
def test_kinds_of_which_the_decoder_alone_gives_something_else(tmp_path, content, expected):
    assert np.abs(read(tmp_path, content) - expected).max() <= 2


@pytest.mark.parametrize('content', [
    tiff(PIXELS), tiff(PIXELS, planes=True), tiff(DEEP), tiff(RGB.astype(np.float32), numbers=3),
    tiff(GREY.astype(np.float16), numbers=3), tiff(GREY.astype(np.float64), numbers=3),
    tiff(GREY.astype(np.int16), numbers=2), tiff(GREY.view(np.int8), numbers=2),  # of which OpenCV makes nonsense
    tiff(GREY.astype(np.uint32)), tiff(DEEP[..., :4], photometric=5), tiff(DEEP[..., 0], bits=12),
    tiff(RGB, compression=34925), tiff(RGB)[:3000], b'II*\0\xff\xff\xff\x0f',
    encoded(IMAGE, 'JPEG').replace(b'\xff\xc0\0\x11\x08', b'\xff\xc0\0\x11\x0c'), encoded(IMAGE, 'JPEG')[:-200],
    encoded(IMAGE, 'AVIF')[:-50], b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(99), b'\xff\x0a' + bytes(99),
    b'\n<!DOCTYPE html><html><body>404</body></html>',
    b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n', b'v/1\x01' + bytes(99), b'hello'])
def test_files_that_are_not_read(tmp_path, content):
    assert reason(tmp_path, content) == 'it is cut off or damaged, or of a kind that is not read'


def test_empty_files_are_not_read(tmp_path):
    assert reason(tmp_path, b'') == 'the file is empty'


def png16(values):
    """A 16-bit PNG of (40, 48, 3) uint16: Pillow writes none in colour."""
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in values)
    header = struct.pack('>IIBBBBB', 48, 40, 16, 2, 0, 0, 0)
    chunks = [(b'IHDR', header), (b'IDAT', zlib.compress(rows)), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks)


DEEP_FILES = [encoded(Image.fromarray(DEEP[..., 0]), 'PNG'), png16(DEEP[..., :3]), tiff(DEEP[..., 0]),
              tiff(DEEP[..., :3]), tiff(DEEP[..., :4], extra=(0, )), encoded(Image.fromarray(DEEP[..., 0]), 'JPEG2000'),
              b'P5 48 40 4095\n' + DEEP[..., 0].astype('>u2').tobytes()]


@pytest.mark.parametrize('content', DEEP_FILES)
def test_12_bits_in_16_are_told_with_the_setting_that_reads_them(tmp_path, content, told):
    dark = read(tmp_path, content)
    sentence = next(text for text in told if '16 bits' in text)
    assert 'levels are left in 8 bits: set max_value=4095 of every LoadImage in the config, if the other' in sentence
    expected = RGB if np.ptp(dark, axis=2).any() else THRICE
    assert np.abs(read(tmp_path, content, max_value=4095) - expected).max() <= 1
    before = len(told)
    read(tmp_path, content)
    assert len(told) == before, 'once'


@pytest.mark.parametrize('content', [png16(DEEP[..., :3] * 16), tiff(DEEP[..., 0] * 16), encoded(IMAGE, 'PNG')])
def test_nothing_is_said_of_images_that_lose_nothing_much(tmp_path, content, told):
    read(tmp_path, content)
    assert told == []


def test_a_setting_for_16_bits_leaves_others_alone(tmp_path):
    for content in (encoded(IMAGE, 'PNG'), tiff(RGB), b'P6 48 40 255\n' + RGB.tobytes()):
        np.testing.assert_array_equal(read(tmp_path, content, max_value=4095), RGB)
    for content in (tiff(DEEP[..., 0], photometric=0), tiff(DEEP[..., :3], planes=True)):
        assert 'of a kind that is not read' in reason(tmp_path, content, max_value=4095)
