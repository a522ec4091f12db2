"""The verdicts on clusters, from assignments worked out by hand."""

import pytest
import torch

from clim_mm.models.parts.cluster_health import assignment_figures, cluster_rules

SOUND = dict(prediction_similarity=0.8, feature_std=0.9)


def figures_of(*assignments):
    return dict(SOUND, **{f'{name}_head_{p.shape[1]}': float(value) for p in assignments
                          for name, value in assignment_figures(p).items()})


def judged(*assignments, early=False):
    rules = cluster_rules([p.shape[1] for p in assignments])
    figures = figures_of(*assignments)
    assert set(rules.figures) == set(figures)
    return rules.judge(figures, early, True, {})


def one_hot(clusters, K):
    return torch.eye(K)[torch.tensor(clusters)]


@pytest.mark.parametrize('p, largest, empty, entropy, confidence', [
    # Mean (0.475, 0.275, 0.125, 0.125), entropy 1.228490, of log 4 = 1.386294.
    (torch.tensor([[.7, .1, .1, .1], [.1, .7, .1, .1], [.7, .1, .1, .1], [.4, .2, .2, .2]]), 0.75, 0.5, 0.886168,
     0.625),
    (torch.full((6, 3), 1 / 3), 1, 2 / 3, 1, 1 / 3),
    (one_hot([0, 1, 2], 3), 1 / 3, 0, 1, 1),
    (one_hot([1, 1, 1, 1], 3), 1, 2 / 3, 0, 1),
])
def test_the_figures(p, largest, empty, entropy, confidence):
    assert {name: float(value) for name, value in assignment_figures(p).items()} == pytest.approx(dict(
        largest_cluster=largest, empty_clusters=empty, cluster_entropy=entropy, cluster_confidence=confidence))


def test_balanced_clusters_are_healthy():
    health = judged(one_hot([0, 1, 2, 3] * 5, 4), one_hot([*range(10)] * 2, 10))
    assert (health.state, health.cause) == ('healthy', '')
    assert health.reason == ('Healthy: cosine 0.80 of predictions to targets, feature std 0.90 of 1, 4 clusters: '
                             'largest 25%, empty 0%, entropy 1.00 of log K, confidence 1.00, 10 clusters: largest 10%, '
                             'empty 0%, entropy 1.00 of log K, confidence 1.00.')


def test_all_images_in_one_cluster():
    health = judged(one_hot([0, 1, 2, 3] * 5, 4), one_hot([7] * 19 + [1], 10))
    assert (health.state, health.cause, health.is_bad) == ('collapsing', 'one cluster', True)
    assert health.reason.startswith('Collapsing: the head of 10 clusters puts nearly all images into one (')
    assert 'entropy_weight' in health.reason


def test_uniform_assignments():
    p = torch.full((40, 10), 0.1) + 0.005 * torch.eye(10).repeat(4, 1)
    health = judged(p / p.sum(dim=1, keepdim=True))
    assert (health.state, health.cause) == ('not learning', 'uniform')
    assert health.reason.startswith('Not learning: the head of 10 clusters gives every cluster the same probability (')
    assert judged(p, early=True).reason.startswith('Starting: the head of 10 clusters gives')


def test_the_bootstrapping_is_judged_too():
    rules = cluster_rules([4])
    figures = dict(figures_of(one_hot([0, 1, 2, 3], 4)), feature_std=0.0)
    assert rules.judge(figures, False, True, {}).cause == 'spread'


def test_steps_without_clusters_are_judged_by_the_rest():
    health = cluster_rules([4]).judge(SOUND, False, True, {})
    assert health.reason == 'Healthy: cosine 0.80 of predictions to targets, feature std 0.90 of 1.'
