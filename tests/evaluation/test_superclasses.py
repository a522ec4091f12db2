"""Super-classes by their file."""

import pytest

from clim_mm.errors import DataError, sentence
from clim_mm.evaluation.superclasses import read_superclasses


@pytest.fixture
def write(tmp_path):
    """Write the file, and give its path."""

    def write_text(text):
        path = tmp_path / 'superclasses.txt'
        path.write_bytes(text.encode('utf-8', 'surrogateescape'))
        return str(path)

    return write_text


def test_by_hand(write):
    path = write('beaver\taquatic mammals\r\norchid\tflowers\n\ndolphin\taquatic mammals\nrose\tflowers\nsofa\tx\n')
    of_class, names = read_superclasses(path, ('rose', 'beaver', 'dolphin', 'orchid'))
    assert of_class.tolist() == [1, 0, 0, 1] and names == ('aquatic mammals', 'flowers')


@pytest.mark.parametrize('text, words', [
    ('a\tx\n', ['no super-class of 1 of the 2 classes', '(b)', 'add their lines']),
    ('a x\nb\ty\n', ['Line 1 of', '(a x)', 'a class, a tab']),
    ('a\tx\nb\t\n', ['Line 2 of']),
    ('a\tx\nb\ty\nb\tx\n', ['Line 3 of', 'only super-class']),
    ('', ['no super-class of 2 of the 2 classes']),
    ('a\tx\nb\t\udcff\n', ['cannot be read', 'set `superclasses`']),
])
def test_what_is_no_such_file(write, text, words):
    with pytest.raises(DataError) as raised:
        read_superclasses(write(text), ('a', 'b'))
    assert all(word in sentence(raised.value) for word in words), sentence(raised.value)


def test_no_file():
    with pytest.raises(DataError, match='nothing.txt cannot be read .there is no such file.'):
        read_superclasses('nothing.txt', ('a', 'b'))
