"""The verdicts on features of known geometry; their figures are computed from the tensors themselves."""

import math

import pytest
import torch
import torch.nn.functional as F

from clim_mm.health import is_early
from clim_mm.models.heads.mixed_contrastive_head import MixedContrastiveHead
from clim_mm.models.parts.contrastive_health import AT_CHANCE, FIGURES, best_of, judge, step_figures

N, C, K, TAU = 512, 128, 4096, 0.2


def directions(number, dim=C, seed=0, mean=None, cosine=0.0):
    """Points on the sphere: spread evenly, or in a cone around ``mean`` with that cosine between any two."""
    points = F.normalize(torch.randn(number, dim, generator=torch.Generator().manual_seed(seed)), dim=1)
    if mean is None:
        return points
    return F.normalize(math.sqrt(cosine) * mean + math.sqrt(1 - cosine) * points, dim=1)


def figures_of(q, keys, queue, queue_fill=1.0, without_positive=0.0):
    """What CLIM reports of such features."""
    lam = torch.ones(len(q))
    loss = MixedContrastiveHead(TAU)(q, [keys], [], queue.T, lam)
    figures = dict(
        step_figures(q, keys, keys, queue.T, lam), relative_nce=loss / math.log(1 + len(queue)), queue_fill=queue_fill,
        without_positive=without_positive)
    return {name: float(value) for name, value in figures.items()}


def best(feature_std, relative_nce):
    return dict(feature_std=feature_std, relative_nce=relative_nce)


def trained(noise=0.5):
    """Keys near their queries; the features spread evenly."""
    q = directions(N)
    return figures_of(q, F.normalize(q + noise * directions(N, seed=1), dim=1), directions(K, seed=2))


def test_well_trained_features_are_healthy():
    figures = trained()
    assert set(figures) == set(FIGURES)
    assert figures['positive_similarity'] == pytest.approx(1 / math.sqrt(1 + 0.5**2), abs=0.01)
    assert figures['negative_similarity'] == pytest.approx(0, abs=0.01)
    assert figures['feature_std'] == pytest.approx(1, abs=0.01)
    # Mean exp of a Gaussian: the negatives come to log K + 1 / (2 C tau^2).
    expected = math.log(1 + math.exp(math.log(K) + 1 / (2 * C * TAU**2) - figures['positive_similarity'] / TAU))
    assert figures['relative_nce'] == pytest.approx(expected / math.log(1 + K), abs=0.01)
    health = judge(figures)
    assert (health.state, health.cause, health.is_bad) == ('healthy', '', False)
    assert health.reason == ('Healthy: loss 0.48 of chance, cosine 0.89 to positives, 0.00 to negatives, feature std '
                             '1.00 of 1, queue 100% full, 0% of the anchors without a positive.')


def test_random_features_are_not_learning():
    figures = figures_of(directions(N), directions(N, seed=1), directions(K, seed=2))
    assert figures['relative_nce'] == pytest.approx(1 + 1 / (2 * C * TAU**2) / math.log(1 + K), abs=0.01)
    health = judge(figures)
    assert (health.state, health.cause, health.is_bad) == ('not learning', 'chance', True)
    assert health.reason.startswith('Not learning: positives are told from negatives hardly better than by chance '
                                    '(loss 1.01 of chance, cosine 0.00 to positives, ')
    assert 'learning rate' in health.reason and health.reason.endswith('0.99.')


def test_an_untrained_encoder_is_not_learning():
    # Its features lie in a cone, whatever the image, so that positives are no nearer than negatives.
    mean = directions(1)
    q, keys, queue = (directions(n, seed=seed, mean=mean, cosine=0.7) for n, seed in [(N, 1), (N, 2), (K, 3)])
    figures = figures_of(q, keys, queue)
    assert figures['negative_similarity'] == pytest.approx(0.7, abs=0.02)
    assert figures['feature_std'] == pytest.approx(math.sqrt(1 - 0.7), abs=0.02)
    assert figures['relative_nce'] == pytest.approx(1, abs=0.01)
    assert judge(figures).cause == 'chance'


def test_complete_collapse():
    same = directions(1).expand(K, C)
    figures = figures_of(same[:N], same[:N], same)
    assert figures['relative_nce'] == pytest.approx(1, abs=1e-6)
    assert figures['feature_std'] == pytest.approx(0, abs=1e-6)
    assert figures['negative_similarity'] == pytest.approx(1, abs=1e-6)
    health = judge(figures)
    assert (health.state, health.cause) == ('collapsing', 'spread')
    assert health.reason.startswith('Collapsing: the queries of a batch are nearly all the same (loss 1.00 of chance')
    assert 'weight decay' in health.reason


@pytest.mark.parametrize(('cosine', 'state'), [(0.996, 'healthy'), (0.9985, 'collapsing')])
def test_queries_nearly_alike(cosine, state):
    # The keys are alike too, but elsewhere, as of an older encoder: then the loss is below chance all the same.
    q = directions(N, seed=1, mean=directions(1, seed=8), cosine=cosine)
    figures = figures_of(q, q, directions(K, seed=2, mean=directions(1, seed=9), cosine=cosine))
    assert figures['feature_std'] == pytest.approx(math.sqrt(1 - cosine), abs=0.005)
    assert figures['relative_nce'] < 0.6 and figures['negative_similarity'] < 0.3
    assert judge(figures).state == state


def test_queries_and_old_keys_in_one_narrow_cone():
    mean = directions(1)
    q, keys, queue = (directions(n, seed=seed, mean=mean, cosine=0.97) for n, seed in [(N, 1), (N, 2), (K, 3)])
    figures = figures_of(q, keys, queue)
    assert figures['negative_similarity'] == pytest.approx(0.97, abs=0.005)
    assert figures['feature_std'] == pytest.approx(math.sqrt(0.03), abs=0.005)  # 0.17
    assert (judge(figures).state, judge(figures).cause) == ('collapsing', 'cone')


@pytest.mark.parametrize('num_axes', [1, 8, 32])
def test_dimensional_collapse_onto_axes(num_axes):
    def onto_axes(number, seed):
        return F.pad(directions(number, num_axes, seed), (0, C - num_axes))

    q = onto_axes(N, 1)
    figures = figures_of(q, q, onto_axes(K, 2))
    assert figures['feature_std'] == pytest.approx(math.sqrt(num_axes / C), abs=0.01)  # 0.09, 0.25, 0.5
    assert judge(figures).state == 'healthy'
    # It tells where the features have been spread before, and the loss lower.
    health = judge(figures, best=best(0.95, 0.3))
    assert (health.state, health.cause) == (('healthy', '') if num_axes == 32 else ('collapsing', 'shrinking'))
    assert ('from a feature std of 0.95, and the loss has risen from 0.30 of chance' in health.reason) is health.is_bad


def test_few_directions_askew_to_the_axes_are_not_told():
    # The documented blind spot: all on one line, but the line is askew.
    line = directions(1, seed=5)
    signs = torch.randint(0, 2, (N + K, 1), generator=torch.Generator().manual_seed(1)) * 2.0 - 1
    figures = figures_of(signs[:N] * line, signs[:N] * line, signs[N:] * line)
    assert figures['feature_std'] == pytest.approx(math.sqrt(2 / math.pi), abs=0.05)
    assert judge(figures).state == 'healthy'


@pytest.mark.parametrize(('best', 'state'), [
    (best(1.0, 0.40), 'collapsing'),
    (best(0.7, 0.40), 'healthy'),  # 0.4 is more than half of 0.7
    (best(1.0, 0.49), 'healthy'),  # the loss is about as low as ever
    ({}, 'healthy'),
])
def test_features_that_draw_together_while_the_loss_rises(best, state):
    assert judge(dict(trained(), feature_std=0.4, relative_nce=0.5), best=best).state == state


def test_the_best_so_far():
    first = best_of({}, dict(feature_std=0.3, relative_nce=0.9))
    assert first == best(0.3, 0.9)
    assert best_of(first, dict(feature_std=0.5, relative_nce=0.95)) == best(0.5, 0.9)
    assert best_of(first, dict(feature_std=0.2, relative_nce=0.8)) == best(0.3, 0.8)
    assert best_of(first, dict(relative_nce=0.8)) == best(0.3, 0.8)
    assert best_of(first, dict(feature_std=math.nan, relative_nce=math.nan)) == first


def test_nothing_is_called_bad_early():
    same = directions(1).expand(K, C)
    for figures, cause in [(figures_of(same[:N], same[:N], same), 'spread'),
                           (figures_of(directions(N), directions(N, seed=1), directions(K, seed=2)), 'chance')]:
        health = judge(figures, early=True)
        assert (health.state, health.cause, health.is_bad) == ('starting', cause, False)
        assert health.reason.startswith('Starting: ') and 'too early to judge (loss 1.0' in health.reason
    assert judge(trained(), early=True).state == 'healthy'


@pytest.mark.parametrize(('iteration', 'max_iters', 'early'), [
    (299, 900, True), (300, 900, False),  # the least
    (2499, 50_000, True), (2500, 50_000, False),  # 5% of the schedule
    (4999, 3_000_000, True), (5000, 3_000_000, False),  # the most
])
def test_how_long_it_is_early(iteration, max_iters, early):
    assert is_early(iteration, max_iters) is early


def test_a_queue_that_fills():
    health = judge(dict(trained(), queue_fill=0.37))
    assert (health.state, health.cause, health.is_bad) == ('starting', 'queue', False)
    assert health.reason.startswith('Starting: the queue is 37% full (')
    assert judge(dict(trained(), queue_fill=0.37, feature_std=0.01)).state == 'collapsing'


@pytest.mark.parametrize('options', [{}, dict(early=True)])
def test_anchors_without_positives(options):
    health = judge(dict(trained(), without_positive=0.72, queue_fill=0.5), **options)
    assert (health.state, health.cause, health.is_bad) == ('not learning', 'positives', True)
    assert health.reason.startswith('Not learning from neighbours: 72% of the anchors have no positive')
    assert judge(dict(trained(), without_positive=0.5), **options).state == 'healthy'
    assert judge(dict(trained(), without_positive=1.0), positives_due=False, **options).state == 'healthy'


def test_figures_that_are_missing_or_nan_are_left_out():
    # A batch of one image has no standard deviation; two views of MoCo have no positives.
    figures = trained()
    del figures['without_positive']
    figures['feature_std'] = math.nan
    health = judge(figures, best=best(1.0, 0.1))
    assert health.state == 'healthy'
    assert health.reason == ('Healthy: loss 0.48 of chance, cosine 0.89 to positives, 0.00 to negatives, queue 100% '
                             'full.')
    assert judge(dict(relative_nce=0.5)).state == 'healthy'
    assert judge(dict(relative_nce=AT_CHANCE)).state == judge(dict(relative_nce=math.nan)).state == 'not learning'
