"""The verdict on a refresh."""

import numpy as np
import pytest

from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.refresh import refresh
from clim_mm.neighbors.refresh_health import judge_refresh
from clim_mm.neighbors.refresh_statistics import cluster_balance, largest_cluster


def verdict(cluster_sizes, share_without_positive=0.0):
    sizes = np.array(cluster_sizes)
    return judge_refresh(
        dict(num_clusters=float(len(sizes)), empty_clusters=float((sizes == 0).sum()),
             cluster_balance=cluster_balance(sizes), largest_cluster=largest_cluster(sizes),
             share_without_positive=share_without_positive))


@pytest.mark.parametrize(('cluster_sizes', 'state'), [
    ([100] * 50, 'healthy'),
    ([600] + [100] * 50, 'healthy'),  # 11%
    ([6000] + [100] * 50, 'collapsing'),  # 55%
    ([6000] + [0] * 50, 'collapsing'),
    ([100], 'healthy'),  # one cluster holds everything because it is the only one
    ([100] * 10 + [0] * 10, 'healthy'),
    ([100] * 10 + [0] * 11, 'collapsing'),
    ([75, 25], 'healthy'),
    ([90, 10], 'collapsing'),
])
def test_uneven_clusters(cluster_sizes, state):
    assert verdict(cluster_sizes).state == state


def test_the_reason_names_the_figures():
    assert verdict([100] * 10 + [0] * 11).reason.startswith('Collapsing: 11 of 21 clusters are empty, so most ')
    health = verdict([6000] + [100] * 50)
    assert health.is_bad and health.cause == 'clusters'
    # (6/11 ln(11/6) + 5/11 ln 110) / ln 51
    assert health.reason.startswith('Collapsing: one cluster holds 55% of the images (balance 0.63 of 1), ')


@pytest.mark.parametrize(('share', 'state'), [(0.1, 'healthy'), (0.18, 'not learning')])
def test_images_that_are_there_twice(share, state):
    health = judge_refresh(
        dict(num_clusters=9.0, empty_clusters=0.0, cluster_balance=1.0, largest_cluster=0.1,
             share_without_positive=0.0, share_with_copy=share))
    assert health.state == state
    assert state == 'healthy' or '18% of the images have the same features as another image' in health.reason


@pytest.mark.parametrize(('share', 'state'), [(0.5, 'healthy'), (0.51, 'not learning'), (1.0, 'not learning')])
def test_images_without_a_positive(share, state):
    health = verdict([10] * 9, share)
    assert health.state == state and health.is_bad is (state != 'healthy')
    if health.is_bad:
        assert health.cause == 'positives' and f': {share:.0%} of the images have no positive' in health.reason


def test_features_of_a_real_refresh():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(320, 16)).astype(np.float32)
    spread /= np.linalg.norm(spread, axis=1, keepdims=True)
    collapsed = np.repeat(spread[:1], 320, axis=0)
    collapsed[:20] = spread[:20]
    sizes = NeighborSizes(20, 5)
    assert judge_refresh(refresh(spread, sizes).report).state == 'healthy'
    assert judge_refresh(refresh(collapsed, sizes).report).cause == 'clusters'
    few = np.repeat(spread[:5], 64, axis=0)  # cannot fill twenty clusters
    assert '15 of 20 clusters are empty' in judge_refresh(refresh(few, sizes).report).reason


def test_purity_decides_nothing():
    report = dict(
        num_clusters=10.0, empty_clusters=0.0, cluster_balance=1.0, largest_cluster=0.1, share_without_positive=0.0)
    assert judge_refresh(dict(report, purity_center_wise=0.0)) == judge_refresh(report)
