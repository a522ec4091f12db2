"""Reading images, and what is said of those that cannot be read."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from clim_mm.datasets import LoadImage
from clim_mm.errors import DataError, sentence


def picture(mode='RGB', size=(48, 40)):
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(40, 216, (5, 6, 4)), np.ones((8, 8, 1))).astype(np.uint8)
    channels = dict(L=smooth[..., 0], RGB=smooth[..., :3], RGBA=smooth, CMYK=smooth)[mode]
    return Image.fromarray(channels, mode=mode).resize(size)


def encoded(suffix, mode='RGB'):
    buffer = io.BytesIO()
    picture(mode).save(buffer, dict(jpg='JPEG', png='PNG')[suffix])
    return buffer.getvalue()


def load(path):
    return LoadImage()(dict(img_path=str(path)))


def check_error(path):
    with pytest.raises(DataError) as caught:
        load(path)
    message = sentence(caught.value)
    assert str(path) in message and 'out of the data folder' in message
    assert caught.value.__cause__ is not None


def test_pixels_are_bgr(tmp_path):
    picture().save(tmp_path / 'a.png')
    results = load(tmp_path / 'a.png')
    assert results['img'].dtype == np.uint8 and results['img_shape'] == (40, 48)
    np.testing.assert_array_equal(results['img'][..., ::-1], np.array(picture()))


@pytest.mark.parametrize('mode, suffix', [('L', 'png'), ('L', 'jpg'), ('RGBA', 'png'), ('CMYK', 'jpg')])
def test_other_modes_have_three_channels(tmp_path, mode, suffix):
    path = tmp_path / f'a.{suffix}'
    path.write_bytes(encoded(suffix, mode))
    image = load(path)['img']
    assert image.shape == (40, 48, 3) and image.dtype == np.uint8
    # Pillow's own reading. The decoders differ in rounding and in CMYK's conversion.
    expected = np.array(Image.open(path).convert('RGB'))
    assert abs(image[..., ::-1].astype(int) - expected).mean() < 3


@pytest.mark.parametrize('share', [0.05, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_a_truncated_image_is_an_error(tmp_path, suffix, share):
    content = encoded(suffix)
    (tmp_path / f'cut.{suffix}').write_bytes(content[:int(share * len(content))])
    check_error(tmp_path / f'cut.{suffix}')


@pytest.mark.parametrize('content', [b'', b'no image\n', b'\xff\xd8\xff\xe0', bytes(range(256))],
                         ids=['empty', 'text', 'only a header', 'bytes'])
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_a_file_that_is_no_image_is_an_error(tmp_path, suffix, content):
    (tmp_path / f'bad.{suffix}').write_bytes(content)
    check_error(tmp_path / f'bad.{suffix}')


def test_a_missing_file_is_an_error(tmp_path):
    check_error(tmp_path / 'missing.jpg')


def test_a_folder_with_the_name_of_an_image_is_an_error(tmp_path):
    (tmp_path / 'folder.jpg').mkdir()
    check_error(tmp_path / 'folder.jpg')


def test_the_error_survives_the_way_out_of_a_worker_process(tmp_path):
    with pytest.raises(DataError) as caught:
        load(tmp_path / 'missing.jpg')
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is DataError and str(copy) == str(caught.value)
