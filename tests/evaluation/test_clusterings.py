"""Clusters against classes: figures worked out by hand, and k-means fitted on other images than it is measured on."""

import numpy as np
import pytest

from clim_mm.errors import ConfigError
from clim_mm.evaluation import clusterings
from clim_mm.evaluation.clusterings import (
    Clustering,
    agreement,
    cluster_figures,
    clustering_by_kmeans,
    clustering_of_head,
    counts_of,
    match,
)


def clustering(clusters, num_clusters):
    return Clustering(np.array(clusters), num_clusters, np.ones(len(clusters)), 'probability')


@pytest.mark.parametrize('labels, clusters, num_clusters, nmi, ari, acc, many_to_one', [
    ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], 3, 1, 1, 1, None),
    ([0, 0, 1, 1, 2, 2], [2, 2, 0, 0, 1, 1], 3, 1, 1, 1, None),
    ([0, 0, 0, 1, 1, 2], [1, 1, 1, 1, 1, 1], 3, 0, 0, 3 / 6, None),
    # Counts [[2, 1], [0, 3]]. Pairs: 1 + 3 together in both, 6 by class, 7 by cluster, of 15. ARI (4 - 2.8) / (6.5 -
    # 2.8). H(class) = log 2, H(cluster) = 0.636514, H(class | cluster) = 2/3 * 0.562335.
    ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], 2, 0.478704, 1.2 / 3.7, 5 / 6, None),
    # Two clusters of one class: of these only one can be matched. Pairs: 1 + 1 + 1, 6 + 1, 3, of 15.
    ([0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2], 4, 0.733680, 1.6 / 3.6, 4 / 6, 1),
    # Fewer clusters than classes: a class has none. Pairs: 1 + 1 + 1, 3, 1 + 6, of 15.
    ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1], 2, 0.733680, 1.6 / 3.6, 4 / 6, None),
])
def test_agreement_by_hand(labels, clusters, num_clusters, nmi, ari, acc, many_to_one):
    found = agreement(np.array(labels), clustering(clusters, num_clusters), max(labels) + 1)
    expected = dict(nmi=nmi, ari=ari, acc=acc)
    if many_to_one is not None:
        expected['acc_many_to_one'] = many_to_one
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_match_is_the_best_of_all_and_not_the_largest_first():
    counts = np.array([[5, 4], [4, 0]])
    classes, clusters = match(counts)
    assert (classes.tolist(), clusters.tolist()) == ([0, 1], [1, 0])


def test_counts_have_a_place_for_empty_classes_and_clusters():
    found = counts_of(np.array([0, 2, 2, 2]), np.array([1, 0, 3, 3]), num_classes=4, num_clusters=5)
    assert found.tolist() == [[0, 1, 0, 0, 0], [0] * 5, [1, 0, 0, 2, 0], [0] * 5]


SOFT = np.array([[.7, .1, .1, .1], [.1, .7, .1, .1], [.7, .1, .1, .1], [.4, .2, .2, .2]], dtype=np.float32)


def test_a_head_assigns_to_its_most_probable_cluster():
    found = clustering_of_head(SOFT)
    assert found.clusters.tolist() == [0, 1, 0, 0] and found.num_clusters == 4
    np.testing.assert_array_equal(found.certainty, SOFT.max(axis=1))


def test_the_names_of_the_figures():
    labels, head = np.array([0, 1, 0, 0]), clustering_of_head(SOFT)
    found = cluster_figures(labels, 2, dict(kmeans=clustering([1, 0, 1, 1], 2), head_4=head), dict(head_4=SOFT))
    assert list(found) == [
        'nmi_kmeans', 'ari_kmeans', 'acc_kmeans', 'nmi_head_4', 'ari_head_4', 'acc_head_4', 'acc_many_to_one_head_4',
        'largest_cluster_head_4', 'empty_clusters_head_4', 'cluster_entropy_head_4', 'cluster_confidence_head_4']
    assert found['acc_kmeans'] == 1 and found['cluster_confidence_head_4'] == pytest.approx(0.625)


def on_a_circle(degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_kmeans_is_fitted_on_the_training_images_alone():
    train, test = on_a_circle([-2, 0, 2, 88, 90, 92]), on_a_circle([10, 20, 30, 40, 50])
    found = clustering_by_kmeans(train, test, 2)
    assert len(set(found.clusters[:4])) == 1 and found.clusters[4] != found.clusters[0], 'parted at 45 degrees'
    np.testing.assert_allclose(found.certainty, np.cos(np.deg2rad([10, 20, 30, 40, 40])), atol=1e-6)
    assert found.certainty_name == 'cosine'


def test_the_best_of_several_restarts(monkeypatch):
    train = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    train /= np.linalg.norm(train, axis=1, keepdims=True)

    def tightness(restarts, seed):
        monkeypatch.setattr(clusterings, 'RESTARTS', restarts)
        found = clustering_by_kmeans(train, train, 12, seed)
        centers = np.stack([train[found.clusters == cluster].mean(axis=0) for cluster in range(12)])
        return -((train - centers[found.clusters])**2).sum()

    gains = [tightness(10, seed) - tightness(1, seed) for seed in range(4)]
    assert min(gains) > -1e-3 and max(gains) > 0.1


def test_the_same_seed_gives_the_same_clusters_also_of_a_part(monkeypatch):
    rng = np.random.default_rng(0)
    train = on_a_circle(rng.uniform(0, 360, 400))
    for most in (1000, 100):
        monkeypatch.setattr(clusterings, 'MOST_FITTED', most)
        one, again, other = (clustering_by_kmeans(train, train, 7, seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(one.clusters, again.clusters)
        assert (one.clusters != other.clusters).any()


def test_fewer_images_than_clusters():
    with pytest.raises(ConfigError, match='3 training images cannot form 4 clusters'):
        clustering_by_kmeans(on_a_circle([0, 1, 2]), on_a_circle([0]), 4)
