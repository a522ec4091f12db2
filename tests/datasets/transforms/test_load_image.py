"""Reading images, and what is said of those that cannot be read."""

import contextlib
import io
import os
import resource
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from clim_mm.datasets import LoadImage
from clim_mm.errors import ConfigError, MachineError, UnreadableImage, sentence

# (40, 48, 4): blocks of eight pixels, so that JPEG keeps them well.
PIXELS = np.kron(np.random.default_rng(0).integers(40, 216, (5, 6, 4)), np.ones((8, 8, 1))).astype(np.uint8)
RGB, GREY = PIXELS[..., :3], PIXELS[..., 0]
DAMAGED = 'it is cut off or damaged, or of a kind that is not read'
TOO_LARGE = 'it claims to have more pixels than OPENCV_IO_MAX_IMAGE_PIXELS admits'


def encoded(pixels, format_, **options):
    """What Pillow writes."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def png(width, height, depth, color_type, rows):
    """A PNG by hand, of (height, bytes a row) uint8: Pillow writes no 16-bit colour, and no false claims."""
    unfiltered = np.insert(rows, 0, 0, axis=1).astype(np.uint8).tobytes()
    header = struct.pack('>IIBBBBB', width, height, depth, color_type, 0, 0, 0)
    chunks = [(b'IHDR', header), (b'IDAT', zlib.compress(unfiltered, 9)), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks)


def sixteen_bit(pixels, color_type):
    """A PNG whose high bytes are ``pixels``; the low bytes are 200, more than half."""
    values = pixels.astype(np.uint16) * 256 + 200
    return png(48, 40, 16, color_type, values.reshape(40, -1).astype('>u2').view(np.uint8))


def pillow(content):
    """Pillow's own conversion."""
    return np.array(Image.open(io.BytesIO(content)).convert('RGB'))


def load(path, **options):
    return LoadImage(**options)(dict(img_path=str(path)))


def read(tmp_path, content):
    (tmp_path / 'image').write_bytes(content)
    return load(tmp_path / 'image')['img']


def reason(path, **options):
    """Why an image is refused; its error must be complete."""
    with pytest.raises(UnreadableImage) as caught:
        load(path, **options)
    error = caught.value
    assert error.path == str(path) and error.entry == f'{path}\t{error.reason}'
    assert sentence(error) == str(error) == (
        f'Cannot read the image {path} ({error.reason}): replace it or take it out of the data folder.')
    assert 0 < len(error.reason) < 80 and '\n' not in error.reason
    return error.reason


def test_pixels_are_bgr(tmp_path):
    (tmp_path / 'a.png').write_bytes(encoded(RGB, 'PNG'))
    results = load(tmp_path / 'a.png')
    assert results['img'].dtype == np.uint8 and results['img_shape'] == (40, 48)
    np.testing.assert_array_equal(results['img'], RGB[..., ::-1])


PALETTE = Image.fromarray(RGB).quantize(64)
GREY_THRICE = np.stack([GREY] * 3, axis=-1)
BLACK_AND_WHITE = Image.fromarray(np.where(GREY > 128, 255, 0).astype(np.uint8)).convert('1')
BITS_THRICE = np.array(BLACK_AND_WHITE.convert('RGB'))
LOSSLESS = {
    'PNG': (encoded(RGB, 'PNG'), RGB),
    'BMP': (encoded(RGB, 'BMP'), RGB),
    'TIFF': (encoded(RGB, 'TIFF'), RGB),
    'PPM': (encoded(RGB, 'PPM'), RGB),
    'WebP': (encoded(RGB, 'WEBP', lossless=True), RGB),
    'grey PNG': (encoded(GREY, 'PNG'), GREY_THRICE),
    'grey BMP': (encoded(GREY, 'BMP'), GREY_THRICE),
    'grey TIFF': (encoded(GREY, 'TIFF'), GREY_THRICE),
    'palette PNG': (encoded(PALETTE, 'PNG'), np.array(PALETTE.convert('RGB'))),
    'transparent palette PNG': (encoded(PALETTE, 'PNG', transparency=3), np.array(PALETTE.convert('RGB'))),
    'palette BMP': (encoded(PALETTE, 'BMP'), np.array(PALETTE.convert('RGB'))),
    'palette TIFF': (encoded(PALETTE, 'TIFF'), np.array(PALETTE.convert('RGB'))),
    '1-bit PNG': (encoded(BLACK_AND_WHITE, 'PNG'), BITS_THRICE),
    '1-bit BMP': (encoded(BLACK_AND_WHITE, 'BMP'), BITS_THRICE),
    '1-bit TIFF': (encoded(BLACK_AND_WHITE, 'TIFF', compression='group4'), BITS_THRICE),
    'alpha PNG': (encoded(PIXELS, 'PNG'), RGB),
    'alpha WebP': (encoded(PIXELS, 'WEBP', lossless=True, exact=True), RGB),
    'alpha BMP': (encoded(PIXELS, 'BMP'), RGB),
    'grey and alpha PNG': (encoded(Image.fromarray(PIXELS[..., :2].copy(), 'LA'), 'PNG'), GREY_THRICE),
    '16-bit grey PNG': (sixteen_bit(GREY, 0), GREY_THRICE),
    '16-bit colour PNG': (sixteen_bit(RGB, 2), RGB),
    '16-bit alpha PNG': (sixteen_bit(PIXELS, 6), RGB),
    '16-bit grey TIFF': (encoded(GREY.astype(np.uint16) * 256 + 200, 'TIFF'), GREY_THRICE),
}


@pytest.mark.parametrize('name', LOSSLESS)
def test_every_mode_becomes_8_bit_colour(tmp_path, name):
    content, expected = LOSSLESS[name]
    image = read(tmp_path, content)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., ::-1], expected)


CMYK = Image.fromarray(PIXELS, 'CMYK')


@pytest.mark.parametrize('content', [
    encoded(RGB, 'JPEG', quality=95),
    encoded(RGB, 'JPEG', progressive=True),
    encoded(GREY, 'JPEG'),
    encoded(CMYK, 'JPEG'),
    encoded(CMYK, 'TIFF'),
], ids=['JPEG', 'progressive JPEG', 'grey JPEG', 'CMYK JPEG', 'CMYK TIFF'])
def test_lossy_ones_and_cmyk_are_as_pillow_reads_them_but_for_rounding(tmp_path, content):
    image = read(tmp_path, content)
    assert image.shape == (40, 48, 3) and image.dtype == np.uint8
    difference = abs(image[..., ::-1].astype(int) - pillow(content))
    assert difference.max() <= 4 and difference.mean() < 1
    assert image.std() > 30, 'it is no even area'


def test_a_camera_that_was_held_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    content = encoded(RGB, 'JPEG', exif=exif)
    upright = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    image = read(tmp_path, content)
    assert image.shape == (48, 40, 3)
    assert abs(image[..., ::-1].astype(int) - upright).max() <= 4


WHOLE = {
    'jpg': encoded(RGB, 'JPEG'),
    'progressive.jpg': encoded(RGB, 'JPEG', progressive=True),
    'png': encoded(RGB, 'PNG'),
    'bmp': encoded(RGB, 'BMP'),
    'webp': encoded(RGB, 'WEBP', lossless=True),
}


@pytest.mark.parametrize('suffix', WHOLE)
def test_an_image_that_is_cut_off_anywhere_is_refused(tmp_path, suffix):
    content, path = WHOLE[suffix], tmp_path / f'cut.{suffix}'
    ends = {*range(1, len(content), 1 + len(content) // 60), *range(len(content) - 12, len(content))}
    for end in ends:
        path.write_bytes(content[:end])
        assert reason(path) == DAMAGED, end
    path.write_bytes(content)
    load(path)


@pytest.mark.parametrize('chunk, offset', [(b'IHDR', 4 + 13), (b'IDAT', 20), (b'IEND', -8)],
                         ids=['checksum of the header', 'data', 'checksum of the data'])
def test_a_png_that_does_not_agree_with_its_checksums_is_refused(tmp_path, chunk, offset):
    content = bytearray(encoded(RGB, 'PNG'))
    content[content.index(chunk) + offset] ^= 0xff
    (tmp_path / 'damaged.png').write_bytes(content)
    assert reason(tmp_path / 'damaged.png') == DAMAGED


@pytest.mark.parametrize('content', [b'no image\n', b'\xff\xd8\xff\xe0', bytes(range(256)), b'\0' * 1000],
                         ids=['text', 'only a header', 'bytes', 'zeros'])
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_a_file_that_is_no_image_is_refused(tmp_path, suffix, content):
    (tmp_path / f'bad.{suffix}').write_bytes(content)
    assert reason(tmp_path / f'bad.{suffix}') == DAMAGED


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / 'empty.jpg').write_bytes(b'')
    assert reason(tmp_path / 'empty.jpg') == 'the file is empty'


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / 'folder.jpg').mkdir()
    (tmp_path / 'dangling.jpg').symlink_to('nowhere.jpg')
    (tmp_path / 'loop.jpg').symlink_to('back.jpg')
    (tmp_path / 'back.jpg').symlink_to('loop.jpg')
    found = {name: reason(tmp_path / f'{name}.jpg') for name in ('missing', 'folder', 'dangling', 'loop')}
    assert found == dict(
        missing='No such file or directory', folder='Is a directory', dangling='No such file or directory',
        loop='Too many levels of symbolic links')


def test_what_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')
    (tmp_path / 'zeros.jpg').symlink_to('/dev/zero')
    assert [reason(tmp_path / f'{name}.jpg') for name in ('pipe', 'zeros')] == ['it is a pipe or a device'] * 2


def test_a_link_to_an_image_is_an_image(tmp_path):
    (tmp_path / 'image.png').write_bytes(encoded(RGB, 'PNG'))
    (tmp_path / 'link.png').symlink_to('image.png')
    np.testing.assert_array_equal(load(tmp_path / 'link.png')['img'], RGB[..., ::-1])


@pytest.mark.parametrize('width, height, depth, expected', [
    (60000, 60000, 1, TOO_LARGE),
    (60000, 60000, 8, TOO_LARGE),
    (16385, 16384, 8, TOO_LARGE),  # 805 MB
    (16384, 16384, 8, DAMAGED),  # not too large, but the pixels are not there
    (2**31 - 1, 2**31 - 1, 1, DAMAGED),
    (0, 0, 8, DAMAGED),
])
def test_claims_of_more_pixels_than_there_may_be_are_refused(tmp_path, width, height, depth, expected):
    content = png(width, height, depth, 0, np.zeros((4, 4)))
    assert len(content) < 100
    (tmp_path / 'huge.png').write_bytes(content)
    assert reason(tmp_path / 'huge.png') == expected


@pytest.mark.parametrize('size, min_side, refused', [
    ((1, 1), 4, True),
    ((3, 100), 4, True),
    ((100, 3), 4, True),
    ((4, 4), 4, False),
    ((1, 1), 1, False),
    ((48, 40), 40, False),
    ((48, 40), 41, True),
])
def test_images_without_pixels_enough_are_refused(tmp_path, size, min_side, refused):
    image = Image.fromarray(RGB).resize(size)
    image.save(tmp_path / 'small.png')
    if refused:
        assert reason(tmp_path / 'small.png', min_side=min_side) == (
            f'{size[0]}x{size[1]} pixels are too few, min_side is {min_side}')
    else:
        found = load(tmp_path / 'small.png', min_side=min_side)['img']
        np.testing.assert_array_equal(found[..., ::-1], np.array(image))


@pytest.mark.parametrize('min_side', [0, -3])
def test_a_shorter_side_than_one_pixel_is_an_error(min_side):
    with pytest.raises(ConfigError, match=f'min_side of LoadImage .* at least 1, not {min_side}'):
        LoadImage(min_side=min_side)


def test_a_fault_of_the_process_is_none_of_the_image(tmp_path):
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(tmp_path / 'sound.png')
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')), before[1]))
    held = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(open(os.devnull))
        with pytest.raises(MachineError, match='A limit on open files, .*ulimit -n'):
            LoadImage()(dict(img_path=str(tmp_path / 'sound.png')))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for file in held:
            file.close()
    assert (LoadImage()(dict(img_path=str(tmp_path / 'sound.png')))['img'] == 7).all()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe.png')
    assert reason(tmp_path / 'pipe.png') == 'it is a pipe or a device'
    assert reason('/dev/zero') == 'it is a pipe or a device'


@pytest.mark.parametrize('options, words', [
    (dict(max_value=0), 'max_value of LoadImage must be a whole number from 1 to 65535'),
])
def test_settings_that_would_spoil_every_image(options, words):
    with pytest.raises(ConfigError, match=words):
        LoadImage(**options)
