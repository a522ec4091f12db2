"""BYOL against MMSelfSup's."""

import mmselfsup.models
import pytest
import torch
from mmengine.logging import MessageHub
from tiny_byol import build, gradients
from tiny_clim import images

from clim_mm.errors import ConfigError, TrainingError
from clim_mm.models import BYOL
from clim_mm.protocols import Advances, Embeds, Judged

pytestmark = pytest.mark.usefixtures('one_torch_thread')


@pytest.fixture
def hub():
    """A MessageHub of this test's own, as a Runner has one."""
    MessageHub.get_instance('test_byol')
    yield MessageHub.get_current_instance()
    MessageHub._instance_dict.pop('test_byol')


@pytest.mark.parametrize('shift', [0.0, 1.0])
def test_losses_gradients_and_targets_are_those_of_mmselfsup(hub, shift):
    steps, dtype = 6, torch.float64
    theirs = build(mmselfsup.models.BYOL, shift=shift, base_momentum=0.9).to(dtype)
    ours = build(seed=1, shift=shift, momentum=0.9).to(dtype)
    state = {name.replace('target_net.', 'encoder_k.'): value for name, value in theirs.state_dict().items()}
    ours.load_state_dict(state)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9) for model in (theirs, ours)]
    hub.update_info('max_iters', steps)
    losses = []
    for step in range(steps):
        hub.update_info('iter', step)
        views = images(2, seed=step, dtype=dtype)
        found = [model.loss(views, [])['loss'] for model in (theirs, ours)]
        torch.testing.assert_close(*found, rtol=0, atol=1e-6)  # theirs has its momentum in float32
        losses.append(round(found[1].item(), 4))
        for loss in found:
            loss.backward()
        expected = gradients(theirs)
        assert expected.keys() == gradients(ours).keys() and len(expected) > 60
        for name, gradient in gradients(ours).items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-6, atol=1e-6, msg=name)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        target = theirs.target_net.state_dict()
        for name, value in ours.encoder_k.state_dict().items():
            torch.testing.assert_close(value, target[name], rtol=1e-6, atol=1e-6, msg=name)
    assert len({*losses}) == steps and all((0 if shift else -4) <= loss <= (8 if shift else 4) for loss in losses)


def moved_by(model, seed=0):
    """The share of the way that the target goes towards the online network at one loss."""
    with torch.no_grad():
        model.encoder_k.update_parameters(model.encoder('query'))  # the first is a plain copy
        weight, target = model.backbone.conv1.weight, model.encoder_k.module[0].conv1.weight
        weight += 1.0
        before = (weight - target).mean()
        model.loss(images(2, seed=seed), [])
        return float(1 - (weight - target).mean() / before)


@pytest.mark.parametrize('done, cosine, share', [
    (0, True, 0.1), (50, True, 0.05), (100, True, 0.0), (0, False, 0.1), (50, False, 0.1)])
def test_the_momentum_rises_with_the_trainings_share(hub, done, cosine, share):
    hub.update_info('max_iters', 100)
    hub.update_info('iter', done)
    assert moved_by(build(momentum=0.9, cosine=cosine)) == pytest.approx(share, abs=1e-6)


def test_the_target_moves_once_per_optimizer_step():
    model, steps = build(), []
    model.advance_after_loss = False
    for batch in range(5):
        model.loss(images(2, seed=batch), [])
        steps.append(int(model.encoder_k.steps))
        if batch in (1, 4):
            model.advance()
    assert steps == [1, 1, 2, 2, 2]


@pytest.mark.parametrize('counts', [2, 4])
def test_accumulated_batches_equal_one_large_batch(counts):
    large, small = (build(norm=False, momentum=0.5).double() for _ in range(2))
    small.advance_after_loss = False
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (large, small)]
    for step in range(3):
        views = images(2, seed=step, dtype=torch.float64)
        large.loss(views, [])['loss'].backward()
        for part in zip(*(x.chunk(counts) for x in views), strict=True):
            (small.loss(part, [])['loss'] / counts).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        small.advance()
    for (name, value), expected in zip(small.state_dict().items(), large.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10, msg=name)


def test_the_target_starts_as_a_copy():
    model = build()
    target, online = model.encoder('momentum').state_dict(), model.encoder('query').state_dict()
    assert target.keys() == online.keys()
    assert all(torch.equal(value, online[name]) for name, value in target.items())
    assert not any(p.requires_grad for p in model.encoder('momentum').parameters())


def test_channels_last_changes_nothing():
    plain, last = build(), build(channels_last=True)
    assert last.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    losses = [model.double().loss(images(2, dtype=torch.float64), [])['loss'] for model in (plain, last)]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-9)


def test_its_figures():
    model = build(norm=False).double()
    figures = model.loss(images(2, dtype=torch.float64), [])
    assert set(figures) == {'loss', *model.health_rules.figures}
    same = model.loss([images(1, 1, dtype=torch.float64)[0].expand(8, -1, -1, -1)] * 2, [])
    assert float(same['feature_std']) == pytest.approx(0, abs=1e-6) and float(figures['feature_std']) > 0.01
    # Of two equal views both terms are alike: loss = 2 * (2 - 2 cos).
    assert float(same['loss']) == pytest.approx(4 - 4 * float(same['prediction_similarity']), abs=1e-6)


def test_what_it_says_of_itself():
    model = build()
    assert isinstance(model, Embeds) and isinstance(model, Advances) and isinstance(model, Judged)
    assert model.embedding_dim == 16
    batch = dict(inputs=images(2), sample_idx=torch.arange(8))
    assert model.embed_batch(batch).shape == (8, 16) and model.embed_batch(batch, layer='pooled').shape == (8, 64)


def test_a_loss_that_is_not_finite_stops_the_training():
    model = build()
    with torch.no_grad():
        model.head.predictor.fc1.weight.fill_(float('nan'))
    with pytest.raises(TrainingError, match='The loss is not finite.*lower learning rate'):
        model.loss(images(2), [])


@pytest.mark.parametrize('settings, sentence', [
    (dict(momentum=1.0), 'model.momentum must be a number above 0 and below 1'),
    (dict(momentum=0), 'model.momentum must be a number above 0 and below 1'),
    (dict(cosine='yes'), 'model.cosine must be True or False'),
])
def test_refused_settings(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(**settings)


@pytest.mark.parametrize('inputs', [images(1), images(3), dict(query=images(1))])
def test_it_takes_two_views(inputs):
    with pytest.raises(ConfigError, match='BYOL takes two views of each image: let the pipeline have MultiView'):
        build().loss(inputs, [])


def test_a_neck_that_does_not_fit():
    with pytest.raises(ConfigError, match='model.backbone .ResNet. and model.neck .NonLinearNeck. make no features'):
        BYOL(**dict(
            backbone=dict(type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[4]),
            neck=dict(type='mmselfsup.NonLinearNeck', in_channels=63, hid_channels=8, out_channels=8),
            head=dict(
                type='mmselfsup.LatentPredictHead', loss=dict(type='mmselfsup.CosineSimilarityLoss'),
                predictor=dict(type='mmselfsup.NonLinearNeck', in_channels=8, hid_channels=8, out_channels=8))))
