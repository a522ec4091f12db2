"""The figures of a step against what they are of, product by product."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_clim import build, images, named, samples, separated

from clim_mm.models.parts.contrastive_health import step_figures

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def on_sphere(num, channels, seed):
    return F.normalize(torch.randn(num, channels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def test_similarities_are_means_of_single_products():
    q, anchor_keys, positive_keys = (on_sphere(7, 16, seed) for seed in range(3))
    queue = on_sphere(30, 16, 3).T
    lam = torch.linspace(0, 1, 7, dtype=torch.float64)
    figures = step_figures(q, anchor_keys, positive_keys, queue, lam)
    positive = [lam[i] * torch.dot(q[i], anchor_keys[i]) + (1 - lam[i]) * torch.dot(q[i], positive_keys[i])
                for i in range(7)]
    negative = [torch.dot(q[i], queue[:, j]) for i in range(7) for j in range(30)]
    assert set(figures) == {'positive_similarity', 'negative_similarity', 'feature_std'}
    assert figures['positive_similarity'].item() == pytest.approx(sum(positive).item() / 7, abs=1e-12)
    assert figures['negative_similarity'].item() == pytest.approx(sum(negative).item() / 210, abs=1e-12)
    spread = [math.sqrt(sum((q[:, c] - q[:, c].mean())**2).item() / 6) for c in range(16)]
    assert figures['feature_std'].item() == pytest.approx(sum(spread) / 16 * 4, abs=1e-12)
    assert all(figure.shape == () for figure in figures.values())


@pytest.mark.parametrize('channels', [16, 128])
def test_the_standard_deviation_of_features_spread_evenly_is_one(channels):
    q = on_sphere(4096, channels, 0)
    figures = step_figures(q, q, q, on_sphere(4096, channels, 1).T, torch.ones(4096, dtype=torch.float64))
    assert figures['feature_std'].item() == pytest.approx(1, abs=0.01)
    assert figures['positive_similarity'].item() == pytest.approx(1, abs=1e-12)
    assert figures['negative_similarity'].item() == pytest.approx(0, abs=0.001)


def test_collapsed_features():
    q = on_sphere(1, 16, 0).expand(32, -1)
    figures = step_figures(q, q, q, q.T, torch.full((32, ), 0.3, dtype=torch.float64))
    assert figures['feature_std'].item() == pytest.approx(0, abs=1e-12)
    assert figures['positive_similarity'].item() == pytest.approx(1, abs=1e-12)
    assert figures['negative_similarity'].item() == pytest.approx(1, abs=1e-12)


def test_one_query_has_similarities_but_no_standard_deviation():
    q, key, queue = on_sphere(1, 16, 0), on_sphere(1, 16, 1), on_sphere(5, 16, 2).T
    figures = step_figures(q, key, key, queue, torch.ones(1, dtype=torch.float64))
    assert math.isnan(figures['feature_std'].item())
    assert figures['positive_similarity'].item() == pytest.approx((q @ key.T).item(), abs=1e-12)
    assert figures['negative_similarity'].item() == pytest.approx((q @ queue).mean().item(), abs=1e-12)


def test_figures_need_no_gradient():
    q = on_sphere(4, 16, 0).requires_grad_()
    figures = step_figures(q, q, q, q.T, torch.ones(4, dtype=torch.float64))
    assert not any(figure.requires_grad for figure in figures.values())


@pytest.mark.parametrize('sizes', [(32, ), (24, 32)])
def test_the_loss_brings_figures_that_do_not_add_to_it(sizes):
    model = separated(queue_len=20)
    views = images(3, sizes=sizes, dtype=torch.float64)
    lam = [[0.2] * len(sizes)] * 4 + [[0.9] * len(sizes)] * 4
    data_samples = samples(lam, ids=range(8), positives=[1, 2, -1, 3, 4, -1, 5, -1])
    queue = model.queue.keys.clone()
    losses = model.loss(named(views), data_samples)
    total, logged = model.parse_losses(dict(losses))
    assert total.item() == losses['loss'].item() == logged['loss'].item()
    assert set(logged) == set(losses) == {
        'loss', 'relative_nce', 'queue_fill', 'without_positive', 'positive_similarity', 'negative_similarity',
        'feature_std'}
    assert [name for name, value in losses.items() if value.requires_grad] == ['loss']

    assert losses['relative_nce'].item() == pytest.approx(losses['loss'].item() / math.log(21), abs=1e-12)
    assert losses['queue_fill'].item() == 0
    assert losses['without_positive'].item() == 3 / 8
    top = sizes.index(32)
    q = model.encoder('query')(views[top])['last']
    anchor_keys, positive_keys = (model.encoder('momentum')(views[part * len(sizes) + top])['last']
                                  for part in (1, 2))
    weights = torch.tensor([0.2] * 4 + [0.9] * 4, dtype=torch.float64)
    for name, figure in step_figures(q, anchor_keys, positive_keys, queue, weights).items():
        assert losses[name].item() == pytest.approx(figure.item(), abs=1e-10)

    for filled in (0.4, 0.8, 1, 1):  # 8, 16 and 20 keys of 20
        assert model.loss(named(views), data_samples)['queue_fill'].item() == pytest.approx(filled)


def test_the_first_image_of_a_set_is_a_positive_too():
    found = build().loss(named(images(3)), samples([[0.5]] * 8, ids=range(8), positives=[0, 0, 1, -1, 2, 3, -1, 0]))
    assert found['without_positive'].item() == 2 / 8


def test_the_figures_of_mocos_views():
    model = build(queue_len=20, sum_pairs=True)
    losses = model.loss(named(images(2, sizes=(32, 16))), samples([None] * 8))
    assert 'without_positive' not in losses
    assert losses['relative_nce'].item() == pytest.approx(losses['loss'].item() / 4 / math.log(21), rel=1e-6)
    assert losses['positive_similarity'].item() > losses['negative_similarity'].item()


def test_a_batch_of_one_image_has_figures():
    model = separated(norm='GN')
    losses = model.loss(named(images(3, num_samples=1, dtype=torch.float64)), samples([[0.5]], ids=[0], positives=[1]))
    assert math.isnan(losses['feature_std'].item()) and torch.isfinite(losses['loss'])
