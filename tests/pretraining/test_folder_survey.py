"""What is found in a folder of images before a training."""

import shutil

import numpy as np
import pytest
from PIL import Image

from clim_mm.errors import DataError
from clim_mm.pretraining.folder_survey import copies_among, survey_folder


@pytest.fixture
def folder(class_folder):
    """Twelve PNGs, a grey JPEG, two copies of an image, a file that is none, one cut off, an empty one."""
    Image.fromarray(np.full((30, 90), 7, np.uint8)).save(class_folder / 'grey.jpg')
    for name in ('copy.png', 'dog/copy.png'):
        shutil.copy(class_folder / 'cat' / '3.png', class_folder / name)
    (class_folder / 'notes.txt').write_text('x')
    (class_folder / 'broken.png').write_bytes((class_folder / 'cat' / '0.png').read_bytes()[:20])
    (class_folder / 'empty.png').touch()
    return class_folder


def test_everything_is_counted(folder):
    found = survey_folder(str(folder), progress=False)
    assert found.num_images == 17 and len(found.sides) == 15
    assert found.formats == dict(PNG=14, JPEG=1) and found.num_grey == 1
    assert found.unreadable == ('broken.png', 'empty.png')
    assert found.copies == (('cat/3.png', 'copy.png', 'dog/copy.png'), ) and found.num_copies == 2
    assert found.short_side == 40
    said = '\n'.join(found.lines())
    for words in ('17 images', '14 PNG, 1 JPEG, 1 of them grey', 'from 30 to 40 pixels', '2 cannot be read',
                  '2 files are exact copies of others (cat/3.png = copy.png)', 'notes.txt'):
        assert words in said


def test_a_clean_folder_needs_two_lines(class_folder):
    assert len(survey_folder(str(class_folder), progress=False).lines()) == 2


def test_files_of_one_size_and_other_content_are_no_copies(tmp_path):
    for name, content in dict(a=b'xy', b=b'yx', c=b'xy', d=b'xyz').items():
        (tmp_path / name).write_bytes(content)
    assert copies_among([str(tmp_path / name) for name in 'abcd'] + [str(tmp_path / 'gone')]) == [
        [str(tmp_path / 'a'), str(tmp_path / 'c')]]


def test_folders_without_a_readable_image(tmp_path):
    with pytest.raises(DataError, match='does not exist'):
        survey_folder(str(tmp_path / 'nowhere'))
    with pytest.raises(DataError, match='has no file that ends in'):
        survey_folder(str(tmp_path))
    (tmp_path / 'a.png').write_text('no image')
    with pytest.raises(DataError, match='None of the 1 images'):
        survey_folder(str(tmp_path))


def test_copies_do_not_count_as_images_to_learn_from(folder):
    with pytest.raises(DataError, match='has 13 different images that can be read'):
        survey_folder(str(folder), progress=False).check_enough()
    for value in range(3):
        Image.fromarray(np.full((30, 90), value, np.uint8)).save(folder / f'{value}.png')
    survey_folder(str(folder), progress=False).check_enough()
