"""The cluster loss against values worked out by hand, and term by term."""

import math

import pytest
import torch

from clim_mm.errors import ConfigError
from clim_mm.models import ClusterContrastHead
from clim_mm.models.heads.cluster_contrast_head import cluster_contrast, imbalance


def one_hot(K, rows_each=4):
    return torch.eye(K, dtype=torch.float64).repeat(rows_each, 1)


def uniform(K, N=40):
    return torch.full((N, K), 1 / K, dtype=torch.float64)


@pytest.mark.parametrize('K, tau_c, perfect', [
    (10, 1.0, 2.0310165), (10, 0.5, 1.2343182), (20, 1.0, 2.7066772), (20, 0.5, 1.8152710)])
def test_perfect_clusters(K, tau_c, perfect):
    p = one_hot(K)
    assert float(cluster_contrast(p, p, tau_c)) == pytest.approx(perfect, abs=1e-7)
    assert float(imbalance(p)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize('K, value', [(10, 2.9444390), (20, 3.6635616)])
@pytest.mark.parametrize('tau_c', [0.5, 1.0])
def test_uniform_assignments(K, value, tau_c):
    assert float(cluster_contrast(uniform(K), uniform(K), tau_c)) == pytest.approx(value, abs=1e-7)
    assert float(imbalance(uniform(K))) == pytest.approx(0, abs=1e-12)


def test_all_in_one_cluster():
    p = one_hot(10)[:1].repeat(40, 1).requires_grad_()
    assert 2 * float(imbalance(p)) == pytest.approx(2 * math.log(10), abs=1e-6)
    loss = ClusterContrastHead(4, 10).loss(p, p)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(p.grad).all()


def test_the_loss_term_by_term():
    generator = torch.Generator().manual_seed(0)
    N, K, tau_c = 6, 3, 0.7
    a, b = (torch.rand(N, K, generator=generator, dtype=torch.float64).softmax(dim=1) for _ in range(2))

    def s(x, k, y, j):
        return math.exp(torch.cosine_similarity(x[:, k], y[:, j], dim=0) / tau_c)

    def ell(k, x, y):
        negatives = sum(s(x, k, x, j) + s(x, k, y, j) for j in range(K) if j != k)
        return -math.log(s(x, k, y, k) / (s(x, k, y, k) + negatives))

    contrast = sum(ell(k, a, b) + ell(k, b, a) for k in range(K)) / (2 * K)
    assert float(cluster_contrast(a, b, tau_c)) == pytest.approx(contrast, abs=1e-10)
    parts = [math.log(K) + sum(float(q) * math.log(q) for q in p.mean(dim=0)) for p in (a, b)]
    assert [float(imbalance(p)) for p in (a, b)] == pytest.approx(parts, abs=1e-10)
    head = ClusterContrastHead(4, K, tau_c=tau_c, entropy_weight=3.0)
    assert float(head.loss(a, b)) == pytest.approx(contrast + 3 * sum(parts), abs=1e-10)


@pytest.mark.parametrize('num_layers, shapes', [(1, [(3, 5)]), (2, [(5, 5), (3, 5)]), (3, [(5, 5), (5, 5), (3, 5)])])
def test_soft_assignments(num_layers, shapes):
    head = ClusterContrastHead(5, 3, num_layers)
    assert [tuple(p.shape) for name, p in head.named_parameters() if name.endswith('weight')] == shapes
    with torch.autocast('cpu', torch.bfloat16):
        assignments = head(torch.randn(7, 5))
    assert assignments.shape == (7, 3) and assignments.dtype == torch.float32
    torch.testing.assert_close(assignments.sum(dim=1), torch.ones(7))


@pytest.mark.parametrize('settings, sentence', [
    (dict(num_clusters=1), 'num_clusters of ClusterContrastHead must be a whole number of at least 2'),
    (dict(num_clusters=3, tau_c=0), 'tau_c of ClusterContrastHead must be a number above 0'),
    (dict(num_clusters=3, num_layers=0), 'num_layers of ClusterContrastHead'),
    (dict(num_clusters=3, entropy_weight=-1), 'entropy_weight of ClusterContrastHead must be a number of at least 0'),
])
def test_refused_settings(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ClusterContrastHead(4, **settings)
