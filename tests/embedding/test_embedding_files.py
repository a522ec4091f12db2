"""Embeddings as Parquet and NPZ."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from clim_mm.datasets import ImageFolder
from clim_mm.embedding import Embeddings, duplicate_groups
from clim_mm.embedding.duplicates import groups_csv
from clim_mm.embedding.files import check_out, write_embeddings
from clim_mm.errors import ConfigError

NAMES = ['a.png', 'b\n.png', 'c "<&>.png', 'd.png', 'e.png']


@pytest.fixture
def found(tmp_path):
    """Five images; the third and the fourth are nearly the same, and the fifth as the third."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for place, name in enumerate(NAMES):
        (folder / name).write_bytes(b'x' * (100 + place % 4))
    angles = np.deg2rad([0, 90, 180, 181, 182])
    neighbors = np.array([[1, -1], [0, -1], [3, 4], [2, 4], [3, -1]], np.int32)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    distances = np.where(neighbors >= 0, 1 - np.einsum('nd,nkd->nk', vectors, vectors[neighbors]), np.nan)
    return Embeddings(ImageFolder(str(folder)), np.arange(5), vectors, np.array([0, 1, 1, 1, 1], np.int32), neighbors,
                      distances.astype(np.float32), 0.995, ('f.png\tcut off', ), dict(epochs=3, config=dict(name='x')))


def test_parquet(found, tmp_path):
    path = str(tmp_path / 'out.parquet')
    write_embeddings(found, path)
    table = pq.read_table(path)
    rows = table.to_pydict()
    assert rows['path'] == NAMES and rows['cluster'] == [0, 1, 1, 1, 1]
    np.testing.assert_array_equal(np.array(rows['vector'], np.float32), found.vectors)
    assert rows['neighbors'] == [[1], [0], [3, 4], [2, 4], [3]]
    assert [len(row) for row in rows['distances']] == [1, 1, 2, 2, 1]
    facts = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    assert json.loads(facts['encoder']) == dict(epochs=3, config='x') and facts['recall'] == '0.995'
    assert json.loads(facts['unreadable']) == ['f.png\tcut off']


def test_npz_over_a_file_that_is_there(found, tmp_path):
    path = tmp_path / 'out.npz'
    path.write_text('old')
    write_embeddings(found, str(path))
    held = np.load(path)
    assert held['path'].tolist() == NAMES
    for name, value in dict(vector=found.vectors, cluster=found.clusters, neighbors=found.neighbors).items():
        np.testing.assert_array_equal(held[name], value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ['images', 'out.npz']


def test_nothing_half_written(found, tmp_path, monkeypatch):
    monkeypatch.setattr(np, 'savez', lambda file, **kwargs: file.write(b'half') and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_embeddings(found, str(tmp_path / 'out.npz'))
    assert [each.name for each in tmp_path.iterdir()] == ['images']


@pytest.mark.parametrize('name, words', [('out.csv', r'written as \.parquet or \.npz'), ('sub.npz', 'is a folder')])
def test_names_that_are_refused(tmp_path, name, words):
    (tmp_path / 'sub.npz').mkdir()
    with pytest.raises(ConfigError, match=words):
        check_out(str(tmp_path / name))


def test_groups_of_near_duplicates(found):
    (group, ) = duplicate_groups(found, 0.9998)
    # The largest file first; the third and the fifth are 2 degrees apart, and linked by the fourth.
    assert [one.row for one in group] == [3, 2, 4] and [one.num_bytes for one in group] == [103, 102, 100]
    assert all(one.cosine == pytest.approx(np.cos(np.deg2rad(1)), abs=1e-6) for one in group)
    assert duplicate_groups(found, 0.9999) == []
    both = duplicate_groups(found, 1e-9)
    assert [len(group) for group in both] == [3]  # a right angle has a cosine of 0, or below it by rounding
    with pytest.raises(ConfigError, match='threshold'):
        duplicate_groups(found, 0)


def test_the_table_of_groups(found):
    lines = groups_csv(found, duplicate_groups(found, 0.9998)).splitlines()
    assert lines == ['group,keep,path,cosine,bytes', '1,1,d.png,0.9998,103', '1,0,"c ""<&>.png",0.9998,102',
                     '1,0,e.png,0.9998,100']
