"""Which files a training set is made of, and what has changed between two."""

import hashlib
import os
import shutil

import pytest

from clim_mm.datasets import ImageFolder
from clim_mm.datasets.manifest import Manifest, difference
from clim_mm.datasets.source import build_source

NAMES = [f'{name}/{i}.png' for name in ('cat', 'dog') for i in range(6)]
BEFORE = ['10\ta.png', '20\tb.png', '30\tc.png']


def manifest_of(folder, **cfg):
    return Manifest.of(build_source(dict(dict(type='ImageFolder', data_root=str(folder)), **cfg)))


def by_hand(folder, names=NAMES):
    return [f'{os.path.getsize(folder / name)}\t{name}' for name in names]


@pytest.mark.parametrize('cfg', [
    dict(),
    dict(type='mmcls.CustomDataset'),
    dict(type='mmselfsup.ImageList', ann_file='list.txt'),
])
def test_size_and_path_of_each_image_in_the_order_of_the_ids(class_folder, cfg):
    names = NAMES
    if 'ann_file' in cfg:
        names = NAMES[::-1]
        (class_folder / 'list.txt').write_text(''.join(f'{name}\n' for name in names))
    manifest = manifest_of(class_folder, **cfg)
    assert list(manifest.lines) == by_hand(class_folder, names)
    text = ''.join(f'{line}\n' for line in by_hand(class_folder, names))
    assert manifest.text() == text
    assert manifest.digest == hashlib.sha256(text.encode()).hexdigest()
    assert len({line.split('\t')[0] for line in manifest.lines}) > 1, 'the sizes differ'


def test_the_place_of_the_folder_does_not_matter(class_folder, tmp_path, monkeypatch):
    expected = manifest_of(class_folder)
    shutil.copytree(class_folder, tmp_path / 'else' / 'where')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'link').symlink_to('images')
    for place in (f'{class_folder}/', f'{class_folder}//', tmp_path / 'else' / 'where', 'images', './images', 'link',
                  'else/../images'):
        assert manifest_of(place) == expected


def test_a_folder_below_the_root_does(class_folder):
    below = manifest_of(class_folder, data_prefix='dog')
    assert list(below.lines) == by_hand(class_folder, NAMES[6:])
    assert list(manifest_of(class_folder / 'dog').lines) == [
        line.replace('dog/', '') for line in by_hand(class_folder, NAMES[6:])]


def test_images_outside_of_the_root_have_their_whole_path(class_folder):
    dataset = ImageFolder(str(class_folder), data_prefix=str(class_folder / 'dog'))
    assert Manifest.of(dataset).lines[0] == by_hand(class_folder)[6]
    elsewhere = ImageFolder('', data_prefix=str(class_folder / 'dog'))
    size = os.path.getsize(class_folder / 'dog' / '0.png')
    assert Manifest.of(elsewhere).lines[0] == f'{size}\t{class_folder}/dog/0.png'


def test_what_is_not_there_has_no_size(class_folder):
    dataset = ImageFolder(str(class_folder))
    assert len(dataset) == 12
    (class_folder / 'cat' / '2.png').unlink()
    (class_folder / 'cat' / '3.png').unlink()
    (class_folder / 'cat' / '3.png').symlink_to('3.png')
    lines = Manifest.of(dataset).lines
    assert lines[2:4] == ['-1\tcat/2.png', '-1\tcat/3.png'] and lines[4] == by_hand(class_folder, ['cat/4.png'])[0]


@pytest.mark.parametrize('name', [b'a b.png', b'caf\xe9.png', b'new\nline.png', b'return\r.png', b'tab\t.png',
                                  b'a\xe2\x80\xa8b.png', '日本.png'.encode()],
                         ids=['space', 'no UTF-8', 'line break', 'return', 'tab', 'line separator', 'Japanese'])
def test_unusual_names_have_one_line_and_a_digest_of_their_own(class_folder, name):
    before = manifest_of(class_folder)
    os.rename(class_folder / 'dog' / '5.png', os.path.join(os.fsencode(class_folder / 'dog'), name))
    manifest = manifest_of(class_folder)
    assert len(manifest.lines) == 12 and len(manifest.text().splitlines()) == 12
    assert manifest.digest != before.digest and manifest.digest == manifest_of(class_folder).digest
    changes = difference(before, manifest)
    assert changes.startswith('1 removed (dog/5.png), 1 added (dog/') and len(changes.splitlines()) == 1


@pytest.mark.parametrize('now', [
    ['10\ta.png', '20\tb.png'],
    ['10\ta.png', '20\tb.png', '30\tc.png', '30\td.png'],
    ['10\ta.png', '20\tb.png', '31\tc.png'],
    ['10\ta.png', '20\tb.png', '30\tC.png'],
    ['10\ta.png', '30\tc.png', '20\tb.png'],
    ['10\ta.png', '20\tb.png', '30\tc.png', '30\tc.png'],
    [],
])
def test_every_change_gives_another_digest_and_a_word_about_it(now):
    assert Manifest(now).digest != Manifest(BEFORE).digest
    assert difference(Manifest(BEFORE), Manifest(now))


@pytest.mark.parametrize('now, words', [
    (BEFORE, ''),
    (BEFORE[:2], '1 removed (c.png)'),
    (BEFORE + ['40\td.png', '50\te.png'], '2 added (d.png, e.png)'),
    (['11\ta.png', *BEFORE[1:]], '1 of another size (a.png)'),
    (['-1\ta.png', *BEFORE[1:]], '1 of another size (a.png)'),
    (BEFORE[::-1], 'the same images in another order, or listed more or less often'),
    (['11\ta.png', '30\tc.png', '9\td.png'], '1 removed (b.png), 1 added (d.png), 1 of another size (a.png)'),
    ([f'1\tnew/{i}.png' for i in range(5)],
     '3 removed (a.png, b.png, c.png), 5 added (new/0.png, new/1.png, new/2.png, ...)'),
])
def test_changes_in_words(now, words):
    assert difference(Manifest(BEFORE), Manifest(now)) == words


def test_the_sizes_of_some_images_can_be_left_out():
    masked = Manifest(BEFORE).without_sizes_of([1, 7])
    assert list(masked.lines) == ['10\ta.png', '?\tb.png', '30\tc.png']
    assert masked == Manifest([BEFORE[0], '99\tb.png', BEFORE[2]]).without_sizes_of([1])
    assert masked != Manifest([BEFORE[0], '99\tB.png', BEFORE[2]]).without_sizes_of([1])


def test_ids_of_a_set_that_was_larger_are_passed_over():
    assert list(Manifest(BEFORE).without_sizes_of([2, 3]).lines) == ['10\ta.png', '20\tb.png', '?\tc.png']


def test_more_images_than_are_asked_for_at_once_keep_their_order(tmp_path):
    class Listed:
        data_root = str(tmp_path)

        def __len__(self):
            return 2345

        def get_data_info(self, i):
            return dict(img_path=str(tmp_path / f'{i}.png'))

    for i in (0, 999, 1000, 2344):
        (tmp_path / f'{i}.png').write_bytes(b'x' * (i + 1))
    expected = [f'{i + 1 if i in (0, 999, 1000, 2344) else -1}\t{i}.png' for i in range(2345)]
    assert list(Manifest.of(Listed()).lines) == expected
