"""The nearest of each row, while others are added."""

import numpy as np

from clim_mm.neighbors.running_nearest import RunningNearest


def test_the_nearest_so_far_by_hand():
    near = RunningNearest(2, 2, np.dtype(np.int16))
    assert (near.limit == 32767).all() and (near.ids() == -1).all()
    near.add(np.array([0, 0, 0, 1]), np.array([7, 8, 9, 5]), np.array([30, 10, 20, 4], dtype=np.int16))
    assert sorted(near.ids()[0]) == [8, 9] and sorted(near.ids()[1]) == [-1, 5]
    assert near.limit.tolist() == [20, 32767]
    near.add(np.array([0, 1, 1]), np.array([3, 2, 1]), np.array([-5, 0, -1], dtype=np.int16))
    assert sorted(near.ids()[0]) == [3, 8] and sorted(near.ids()[1]) == [1, 2]
    assert near.limit.tolist() == [10, -32768], 'no distance is nearer than zero'
