"""The page of clusters: its data by hand, and that it holds no more than it shows."""

import numpy as np
import pytest
from page_data import data_of, pictures_of
from PIL import Image

from clim_mm.datasets import ImageFolder
from clim_mm.visualization import clusters_page
from clim_mm.visualization.clusters_page import CLUSTERS, EXAMPLES

CLUSTERS_OF = np.array([2, 0, 2, 2, 0, 2])
CERTAINTY = np.array([0.5, 0.9, 0.7, 0.123456, 0.95, 0.6])
LABELS = np.array([1, 0, 1, 0, 0, 2])


def source_of(folder, number, images=None):
    """So many images, of different colours; or names alone, of which only a few are read."""
    folder.mkdir()
    for i in range(number):
        path = folder / f'{i:05d}.png'
        if images is None or i in images:
            Image.new('RGB', (12, 12), (40 * i % 256, 100, 250 - 40 * i % 250)).save(path)
        else:
            path.write_bytes(b'x')
    return ImageFolder(str(folder))


def page(source, clusters, num_clusters, certainty, labels, classes, **kwargs):
    return data_of(clusters_page(source, clusters, num_clusters, certainty, 'probability', labels, classes,
                                 'Clusters of a test', **kwargs))


def test_rows_by_hand(tmp_path):
    data = page(source_of(tmp_path / 'a', 6), CLUSTERS_OF, 4, CERTAINTY, LABELS, ('ant', 'bee', 'cat'))
    assert data['clusters'] == [
        dict(id=0, size=2, classes=[[0, 2]], others=0, certain=[[4, 0.95], [1, 0.9]], uncertain=[]),
        dict(id=1, size=0, classes=[], others=0, certain=[], uncertain=[]),
        dict(id=2, size=4, classes=[[1, 2], [0, 1], [2, 1]], others=0,
             certain=[[2, 0.7], [5, 0.6], [0, 0.5], [3, 0.1235]], uncertain=[]),
        dict(id=3, size=0, classes=[], others=0, certain=[], uncertain=[])]
    facts = {name: data['facts'][name] for name in ('images', 'clusters', 'empty', 'purity', 'certainty')}
    assert facts == dict(images=6, clusters=4, empty=2, purity=round(4 / 6, 4), certainty='probability')
    assert data['labels'] == ['ant', 'bee', 'cat'] and data['images']['3'][:3] == ['00003.png', 0, 2]
    for i, picture in pictures_of(data).items():
        assert np.abs(picture.astype(int) - (40 * i % 256, 100, 250 - 40 * i % 250)).max() <= 4


def test_of_a_large_cluster_the_ends_are_shown_and_of_many_classes_the_largest(tmp_path):
    number = 2 * EXAMPLES + 5
    labels = np.array([*range(7), *[3] * (number - 7)])
    certainty = np.arange(number) / number
    data = page(source_of(tmp_path / 'a', number), np.zeros(number, int), 1, certainty, labels, range(7), thumbnail=16)
    (row, ) = data['clusters']
    assert [i for i, _ in row['certain']] == list(range(number - 1, number - 1 - EXAMPLES, -1))
    assert [i for i, _ in row['uncertain']] == list(range(EXAMPLES - 1, -1, -1))
    assert row['classes'] == [[3, number - 6], [0, 1], [1, 1], [2, 1], [4, 1]] and row['others'] == 2
    assert len(data['images']) == 2 * EXAMPLES


def test_of_very_many_clusters_the_largest(tmp_path):
    clusters = np.array([7, 7, CLUSTERS + 2, *range(CLUSTERS)])
    source = source_of(tmp_path / 'a', len(clusters), images=[0])
    data = page(source, clusters, CLUSTERS + 3, np.ones(len(clusters)), np.zeros(len(clusters), int), ('ant', ),
                thumbnail=16)
    shown = [row['id'] for row in data['clusters']]
    assert shown == list(range(CLUSTERS)), 'in their order; of equal ones the first'
    assert data['facts']['clusters'] == CLUSTERS + 3 and data['facts']['empty'] == 2


@pytest.mark.parametrize('max_bytes', [70_000, 45_000])
def test_it_keeps_to_its_size(tmp_path, max_bytes):
    rng = np.random.default_rng(0)
    for i in range(30):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f'{i:02d}.png')
    text = clusters_page(ImageFolder(str(tmp_path)), np.arange(30) % 3, 3, np.ones(30), 'cosine', np.zeros(30, int),
                         ('ant', ), 'Clusters', max_bytes=max_bytes)
    assert 0.5 * max_bytes < len(text.encode()) <= max_bytes
    assert len(pictures_of(data_of(text))) == 30
