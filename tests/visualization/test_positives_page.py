"""The page of positives: its data, texts that stay texts, its size; thumbnails as good as the room allows."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from page_data import data_of, pictures_of
from PIL import Image

from clim_mm.datasets import ImageFolder
from clim_mm.neighbors.refresh import Refresh
from clim_mm.registry import DATASETS
from clim_mm.visualization import PageHead, evenly_spread, positives_page
from clim_mm.visualization.page import encode_within, read_thumbnails

LOAD = dict(type='clim_mm.LoadImage')
RED, GREEN, BLUE = (200, 30, 30), (30, 180, 30), (30, 30, 200)
# On a line: the centre of cluster 0 at 0, of cluster 1 at 10. Image 5 cannot be read.
FEATURES = np.array([[2.0], [1.0], [3.0], [-1.5], [9.0], [np.nan]], dtype=np.float32)
FOUND = Refresh(
    features=FEATURES,
    positives=np.array([[2, 1], [0, 3], [0, 1], [1, 0], [-1, -1], [-1, -1]], dtype=np.int32),
    centroids=np.array([[0.0], [10.0]], dtype=np.float32),
    assignments=np.array([0, 0, 0, 0, 1, -1]),
    neighbors=np.array([[1, 2, 3, 4], [0, 2, 3, 4], [0, 1, 3, 4], [1, 0, 2, 4], [2, 0, 1, 3], [-1, -1, -1, -1]]),
    report={})
HEAD = PageHead('Positives of a test', 'center_wise', whole=dict(purity=0.5, other=float('nan')))


def write(folder, names, size=(20, 16)):
    for number, name in enumerate(names):
        folder.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', size, (40 * number, 100, 250 - 40 * number)).save(folder / name)


@pytest.fixture
def source(tmp_path):
    """Six images of different colours, the last of them empty."""
    write(tmp_path / 'images', [f'{i}.png' for i in range(6)])
    (tmp_path / 'images' / '5.png').write_bytes(b'')
    return ImageFolder(str(tmp_path / 'images'))


def page(source, anchors=(0, 4, 5), head=HEAD, found=FOUND, **kwargs):
    return positives_page(source, found, np.array(anchors), head, **kwargs)


def test_rows_by_hand(source):
    data = data_of(page(source))
    first, without, unreadable = data['anchors']
    assert first == dict(
        id=0, center=2.0, gone=[],
        positives=[[2, 1.0, 3.0, 'filled', False], [1, 1.0, 1.0, 'kept', False]],
        neighbors=[[1, 1.0, 1.0, 'kept'], [2, 1.0, 3.0, 'filled'], [3, 3.5, 1.5, 'not_drawn'],
                   [4, 7.0, 9.0, 'other_cluster']])
    assert without['positives'] == [] and without['center'] == 1.0
    assert [entry[0] for entry in without['neighbors']] == [2, 0, 1, 3]
    assert unreadable == dict(id=5, center=None, positives=[], neighbors=[], gone=[])
    facts = data['facts']
    assert {name: facts[name] for name in ('images', 'clusters', 'neighbors', 'positives', 'strategy', 'previous')} == \
        dict(images=6, clusters=2, neighbors=4, positives=2, strategy='center_wise', previous=False)
    assert facts['whole'] == [['purity', 0.5], ['other', None]] and facts['title'] == 'Positives of a test'
    assert list(data['reasons']) == ['kept', 'filled', 'not_drawn', 'unsure', 'farther', 'other_cluster']


def test_pictures_are_the_images_and_unreadable_ones_say_why(source):
    data = data_of(page(source))
    pictures = pictures_of(data)
    assert sorted(pictures) == [0, 1, 2, 3, 4, 5]
    for i in range(5):
        assert np.abs(pictures[i].astype(int) - (40 * i, 100, 250 - 40 * i)).max() <= 4
    assert data['images']['5'] == ['5.png', None, -1, None, 'the file is empty']
    assert data['images']['3'][:3] == ['3.png', None, 0]


def test_only_what_is_shown_is_there(source):
    assert sorted(data_of(page(source, [5]))['images']) == ['5']


def test_changes_since_the_refresh_before(source):
    previous = np.array([[1, 4], [-1, -1], [-1, -1]])
    data = data_of(page(source, previous=previous))
    assert data['facts']['previous'] is True
    assert [(entry[0], entry[4]) for entry in data['anchors'][0]['positives']] == [(2, True), (1, False)]
    assert [row['gone'] for row in data['anchors']] == [[4], [], []]


def test_positives_stand_by_distance(source):
    data = data_of(page(source, [1, 3]))
    assert [[entry[0] for entry in row['positives']] for row in data['anchors']] == [[0, 3], [1, 0]]


def test_labels_and_their_names(tmp_path):
    for number, name in enumerate(['ant', 'bee', 'cat']):
        write(tmp_path / name, [f'{2 * number}.png', f'{2 * number + 1}.png'])
    labelled = DATASETS.build(dict(type='mmcls.CustomDataset', data_root=str(tmp_path)))
    data = data_of(page(labelled))
    assert [data['images'][str(i)][1] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    assert data['labels'] == ['ant', 'bee', 'cat'] and data['facts']['labelled']
    assert not data_of(page(ImageFolder(str(tmp_path))))['facts']['labelled']


def test_texts_stay_texts(tmp_path):
    hostile = ['<img src=x onerror=alert(1)>.png', '<!--<script>.png', '&lt;"\'.png', 'line\u2028break.png', 'é ü.png',
               '@DATA@.png']
    write(tmp_path, hostile)
    text = page(ImageFolder(str(tmp_path)), head=PageHead('</script><b>&amp;', 'knn', note='<i>"&'),
                found=replace(FOUND, features=np.nan_to_num(FEATURES)))
    data = data_of(text)
    seen = sorted(entry[0] for entry in data['images'].values())
    assert seen == sorted([*hostile[:3], 'line\\u2028break.png', *hostile[4:]])
    assert data['facts']['title'] == '</script><b>&amp;' and data['facts']['note'] == '<i>"&'
    inside = re.search('id="data">(.*?)</script>', text, flags=re.DOTALL)[1]
    assert not set('<>&') & set(inside) and inside.isascii()


def test_the_page_refers_to_nothing_outside(source):
    text = page(source)
    assert not re.search(r'https?:|\bsrc=|<link|@import|url\(', text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize('max_bytes', [90_000, 60_000])
def test_it_keeps_to_its_size(tmp_path, max_bytes):
    rng = np.random.default_rng(0)
    for i in range(30):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f'{i:02d}.png')
    found = Refresh(
        features=np.arange(30, dtype=np.float32)[:, None],
        positives=np.array([[(i + 1) % 30] for i in range(30)], dtype=np.int32),
        centroids=FOUND.centroids, assignments=np.zeros(30, dtype=np.int64),
        neighbors=np.array([[(i + 1) % 30, (i + 2) % 30] for i in range(30)]), report={})
    text = page(ImageFolder(str(tmp_path)), range(30), found=found, max_bytes=max_bytes)
    assert 0.5 * max_bytes < len(text.encode()) <= max_bytes
    assert len(pictures_of(data_of(text))) == 30


def test_anchors_are_spread_evenly():
    assert evenly_spread(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert evenly_spread(3, 500).tolist() == [0, 1, 2]
    assert evenly_spread(10, 1).tolist() == [0]
    many = evenly_spread(1_281_167, 500)
    assert len(set(many.tolist())) == 500 and np.ptp(np.diff(many)) <= 1


def textured(number=20, side=64):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (number, 8, 8, 3))
    fine = np.kron(coarse, np.ones((1, side // 8, side // 8, 1))) * 0.7 + rng.integers(0, 70, (number, side, side, 3))
    return {3 * i: picture for i, picture in enumerate(fine.astype(np.uint8))}


def files_of(jpegs):
    head, tails = jpegs
    return {i: base64.b64decode(head + tail, validate=True) for i, tail in tails.items()}


def size_of(jpegs):
    head, tails = jpegs
    return len(head) + sum(len(tail) for tail in tails.values())


def test_the_middle_square_of_each_image(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = RED, GREEN, BLUE
    Image.fromarray(wide).save(tmp_path / '0.png')
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / '1.png')
    (tmp_path / '2.png').write_bytes(b'')
    reads = []

    def note(results):
        reads.append(results['img_path'])
        return results

    found = read_thumbnails(ImageFolder(str(tmp_path)), [0, 1, 2], 16, [note, LOAD])
    for i in (0, 1):
        assert found[i].shape == (16, 16, 3) and (found[i] == GREEN[::-1]).all(), 'BGR, nothing of red and blue'
    assert found[2] == 'the file is empty'
    assert len(reads) == 3


def test_smaller_images_are_enlarged(tmp_path):
    Image.new('RGB', (10, 12), BLUE).save(tmp_path / '0.png')
    assert read_thumbnails(ImageFolder(str(tmp_path)), [0], 32, [LOAD])[0].shape == (32, 32, 3)


def test_files_come_back_from_head_and_tail():
    made = textured()
    jpegs = encode_within(made, 10**7)
    assert sorted(files_of(jpegs)) == sorted(made)
    for i, file in files_of(jpegs).items():
        seen = np.asarray(Image.open(io.BytesIO(file)))[:, :, ::-1].astype(float)
        assert seen.shape == (64, 64, 3)
        assert np.abs(seen - made[i]).mean() < 25  # noise does not survive; another picture would be 60 off
        other = made[(i + 3) % 60]
        assert np.abs(seen - made[i]).mean() < 0.6 * np.abs(seen - other).mean()
    assert len(jpegs[0]) > 700, 'the tables are said once'


def test_as_good_as_the_room_admits():
    made = textured()
    sizes = []
    for most in (10**7, 50_000, 30_000, 15_000, 8_000):
        jpegs = encode_within(made, most)
        assert size_of(jpegs) <= most
        sizes.append(size_of(jpegs))
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 5
    assert encode_within(made, sizes[1]) == encode_within(made, 50_000), 'what just fits is taken'
    smallest = files_of(encode_within(made, 1))
    assert len(smallest) == len(made), 'nothing is left out'
    assert {Image.open(io.BytesIO(file)).size for file in smallest.values()} == {(16, 16)}


@pytest.mark.parametrize('number', [0, 1])
def test_few_textured(number):
    jpegs = encode_within(textured(number), 10**6)
    assert len(files_of(jpegs)) == number
    for file in files_of(jpegs).values():
        assert Image.open(io.BytesIO(file)).size == (64, 64)
