"""Several positives of a sample: which are drawn, and what an unreadable one of them costs."""

import numpy as np
import pytest
import torch
from colored_images import empty, write_colored

from clim_mm.datasets import LoadImage, MultiRes, NeighborPairs, PackPair, PairViews
from clim_mm.errors import ConfigError

N = 12


def pairs(folder, num_drawn, steps=(1, 2, 3), pipeline=None, missing=()):
    """Each image's positives are the images so many steps on; none for those that are ``missing``."""
    dataset = NeighborPairs(
        dict(type='ImageFolder', data_root=str(folder)),
        pipeline or [PairViews([LoadImage()], [MultiRes((8, ))], mixed=False), PackPair()],
        num_positives=3, max_unreadable=0.9, num_drawn=num_drawn)
    dataset.randomness.start_epoch(5, 0)
    table = np.full((N, 3), -1, dtype=np.int32)
    table[:, :len(steps)] = (np.arange(N)[:, None] + steps) % N
    table[[*missing]] = -1
    dataset.table.publish(table)
    return dataset


@pytest.fixture
def paths(tmp_path):
    return write_colored(tmp_path / 'images', N)


def drawn(sample):
    data = sample['data_samples']
    return (data.positive_idx, *data.get('other_idx', ()))


def test_different_ones_are_drawn_the_first_as_alone(paths):
    one, two = pairs(paths[0].parent, 1), pairs(paths[0].parent, 2)
    seen = set()
    for i in range(N):
        ids = drawn(two[i])
        assert ids[:1] == drawn(one[i])
        assert len({*ids}) == 2 and {(j - i) % N for j in ids} < {1, 2, 3}
        seen.add(ids[1] - i)
        assert torch.equal(two[i]['inputs']['positive_key'][0], one[i]['inputs']['positive_key'][0])
    assert len(seen) > 2


def test_fewer_are_repeated_and_none_is_the_anchor_itself(paths):
    dataset = pairs(paths[0].parent, 3, steps=(1, 2), missing=[4])
    ids = drawn(dataset[0])
    assert ids[2] == ids[0] != ids[1]
    alone = dataset[4]
    assert drawn(alone) == (-1, -1, -1)
    colors = {tuple(alone['inputs'][name][0].flatten(1).float().mean(dim=1).tolist())
              for name in ('anchor_key', 'positive_key', 'positive_key_2', 'positive_key_3')}
    assert len(colors) == 1  # each image has one colour of its own


def test_an_unreadable_one_gives_way_and_is_known_by_its_own_id(paths):
    empty(paths[2])
    dataset = pairs(paths[0].parent, 3)
    sample = dataset[0]
    assert {*drawn(sample)} == {1, 3}
    assert [i for i in range(N) if dataset.quarantine.holds(i)] == [2]
    assert [*sample['data_samples'].unreadable] == [2]


def test_the_number_is_checked(paths):
    with pytest.raises(ConfigError, match='num_drawn of NeighborPairs must be a whole number of at least 1'):
        pairs(paths[0].parent, 0)
