"""The verdicts on a bootstrapping, from features of known geometry."""

import math

import pytest
import torch
import torch.nn.functional as F

from clim_mm.models.parts.bootstrap_health import BOOTSTRAP, bootstrap_figures, judge


def directions(number, seed=0, around=0.0):
    """Points on the sphere of 64 dimensions: spread evenly, or drawn towards one direction."""
    points = F.normalize(torch.randn(number, 64, generator=torch.Generator().manual_seed(seed)), dim=1)
    return F.normalize(points + around * torch.eye(64)[0], dim=1)


def figures_of(projections, predictions, targets):
    return {name: float(value) for name, value in bootstrap_figures(projections, predictions, targets).items()}


def test_predicted_targets_are_healthy():
    z = directions(512)
    figures = figures_of(z, F.normalize(z + 0.5 * directions(512, 1), dim=1), z)
    assert set(figures) == set(BOOTSTRAP.figures)
    assert figures['prediction_similarity'] == pytest.approx(1 / math.sqrt(1.25), abs=0.01)
    assert figures['feature_std'] == pytest.approx(1, abs=0.01)
    health = judge(figures)
    assert (health.state, health.cause) == ('healthy', '')
    assert health.reason == 'Healthy: cosine 0.89 of predictions to targets, feature std 1.00 of 1.'


def test_projections_that_are_all_the_same():
    z = directions(512, around=100.0)
    figures = figures_of(z, z, z)
    assert figures['feature_std'] < 0.02 and figures['prediction_similarity'] == pytest.approx(1)
    health = judge(figures)
    assert (health.state, health.cause, health.is_bad) == ('collapsing', 'spread', True)
    assert health.reason.startswith('Collapsing: the projections of a batch are nearly all the same (cosine 1.00')
    assert judge(figures, early=True).state == 'starting'


@pytest.mark.parametrize('similarity', [0.0, math.nan])
def test_targets_that_are_not_predicted(similarity):
    health = judge(dict(prediction_similarity=similarity, feature_std=1.0))
    assert (health.state, health.cause) == ('not learning', 'prediction')
    assert 'learning rate' in health.reason
