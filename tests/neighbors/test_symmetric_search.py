"""All features compared with all in pairs, against faiss's exact search."""


import numpy as np

from clim_mm.neighbors import ivf_search, search
from clim_mm.neighbors.symmetric_search import (
    SymmetricSearch,
)

MEMORY = 2**28


def test_pairs_take_the_place_of_the_exact_search_above_their_recall(monkeypatch):
    features = random(1200, dim=64)
    centroids = features[:60]
    found = ivf_search(features, 10, centroids, nprobe=1, least_recall=0.99)
    assert found.nprobe == 0 and found.recall >= 0.999
    assert overlap(found.neighbors, search(features, 10)) >= 0.999

    monkeypatch.setattr(SymmetricSearch, 'find', lambda self, ids: np.tile(np.arange(10), (len(ids), 1)))
    found = ivf_search(features, 10, centroids, nprobe=1, least_recall=0.99)
    assert (found.nprobe, found.recall) == (0, 1.0)
    np.testing.assert_array_equal(found.neighbors, search(features, 10))
