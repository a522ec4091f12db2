"""Split batch normalisation against nn.BatchNorm2d on each group."""

import copy

import pytest
import torch
import torch.nn as nn
from gloo import on_processes
from mmengine import dist
from mmengine.model import ExponentialMovingAverage
from tiny_clim import build, images, named, samples, separated

from clim_mm.errors import ConfigError
from clim_mm.models.parts.key_shuffle import SplitBatchNorm, split_batch_norms

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def used(layer, seed=0):
    """The layer in float64 with weights and statistics as after some training."""
    generator = torch.Generator().manual_seed(seed)
    layer = layer.double()
    with torch.no_grad():
        for name, value in layer.state_dict().items():
            if value.is_floating_point():
                value.copy_(0.5 + torch.rand(value.shape, generator=generator, dtype=torch.float64))
            elif name == 'num_batches_tracked':
                value.fill_(3)
    return layer


def split(layer, num_splits, *args):
    """A copy of the layer, converted."""
    return SplitBatchNorm(copy.deepcopy(layer), num_splits, *args)


def batch_of(num_samples, shape=(5, 4, 3), seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_samples, *shape, generator=generator, dtype=torch.float64)
    return x + 3 * torch.randn(num_samples, *[1] * len(shape), generator=generator, dtype=torch.float64)


def by_groups(layer, x, sizes):
    """Each group through a copy of the ordinary layer: outputs, and the means of the copies' statistics."""
    layers = [copy.deepcopy(layer) for _ in sizes]
    for one in layers:
        one.weight, one.bias = layer.weight, layer.bias
    outputs = torch.cat([one(part) for one, part in zip(layers, x.split(sizes), strict=True)])
    means = [torch.stack([getattr(one, name) for one in layers]).mean(dim=0) for name in
             ('running_mean', 'running_var')]
    return outputs, means


# (images, most groups, images of a group at least) -> the sizes of the groups, equal up to one image
SIZES = {
    (32, 8, 4): [4] * 8,
    (64, 8, 4): [8] * 8,
    (33, 8, 4): [5, 4, 4, 4, 4, 4, 4, 4],
    (47, 8, 4): [6, 6, 6, 6, 6, 6, 6, 5],
    (31, 8, 4): [5, 5, 5, 4, 4, 4, 4],
    (15, 8, 4): [5, 5, 5],
    (13, 3, 4): [5, 4, 4],
    (8, 8, 4): [4, 4],
    (7, 8, 4): [7],
    (32, 8, 16): [16, 16],
    (31, 8, 16): [31],
    (11, 8, 2): [3, 2, 2, 2, 2],
    (3, 8, 2): [3],
    (100, 2, 2): [50, 50],
}


@pytest.mark.parametrize('num_samples, num_splits, smallest_group', SIZES)
@pytest.mark.parametrize('momentum', [0.1, None])
def test_it_is_an_ordinary_layer_on_each_group(num_samples, num_splits, smallest_group, momentum):
    sizes = SIZES[num_samples, num_splits, smallest_group]
    assert sum(sizes) == num_samples
    ordinary = used(nn.BatchNorm2d(5, eps=1e-3, momentum=momentum))
    layer = split(ordinary, num_splits, smallest_group)
    for step in range(2):  # with the momentum None, the second batch weighs less than the first
        x = batch_of(num_samples, seed=step).requires_grad_()
        weights = batch_of(num_samples, seed=step + 10)
        found = layer(x)
        expected, (mean, variance) = by_groups(ordinary, x, sizes)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        gradients = torch.autograd.grad((found * weights).sum(), [x, layer.weight, layer.bias])
        wanted = torch.autograd.grad((expected * weights).sum(), [x, ordinary.weight, ordinary.bias])
        for gradient, want in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(gradient, want, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(layer.running_mean, mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(layer.running_var, variance, rtol=1e-12, atol=1e-12)
        assert layer.num_batches_tracked.item() == 4 + step, 'one step a batch, however many groups'
        ordinary.load_state_dict(layer.state_dict())


def test_by_hand():
    # Two groups of one channel: 0, 0, 2, 2 has mean 1 and variance 1 (unbiased 4/3); 10, 10, 10, 14 has 11 and 3 (4).
    layer = SplitBatchNorm(nn.BatchNorm2d(1, eps=1e-14, momentum=0.5).double(), 2)
    x = torch.tensor([0.0, 0, 2, 2, 10, 10, 10, 14], dtype=torch.float64).view(8, 1, 1, 1)
    third = 3**-0.5
    expected = torch.tensor([-1, -1, 1, 1, -third, -third, -third, 3 * third], dtype=torch.float64)
    torch.testing.assert_close(layer(x).flatten(), expected, rtol=1e-12, atol=1e-12)
    assert layer.running_mean.item() == pytest.approx(0.5 * 0 + 0.5 * (1 + 11) / 2, abs=1e-12)
    assert layer.running_var.item() == pytest.approx(0.5 * 1 + 0.5 * (4 / 3 + 4) / 2, abs=1e-12)
    assert layer.num_batches_tracked.item() == 1


@pytest.mark.parametrize('layer, shape', [
    (nn.BatchNorm1d(5), (5, )),
    (nn.BatchNorm1d(5), (5, 7)),
    (nn.BatchNorm3d(5), (5, 2, 3, 2)),
    (nn.BatchNorm2d(5, affine=False), (5, 4, 3)),
])
def test_other_layers_than_2d(layer, shape):
    layer = used(layer)
    x = batch_of(16, shape)
    found = split(layer, 4)(x)
    expected = torch.cat([copy.deepcopy(layer)(part) for part in x.split(4)])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_groups_matter():
    layer, x = used(nn.BatchNorm2d(5)), batch_of(32)
    assert (split(layer, 8)(x) - copy.deepcopy(layer)(x)).abs().max() > 0.5


@pytest.mark.parametrize('num_samples', [1, 7, 32])
def test_in_eval_mode_it_is_an_ordinary_layer(num_samples):
    ordinary = used(nn.BatchNorm2d(5)).eval()
    layer = split(ordinary, 8)
    assert not layer.training, 'the mode is taken over'
    x = batch_of(num_samples)
    torch.testing.assert_close(layer(x), ordinary(x), rtol=0, atol=0)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, ordinary.state_dict()[name])


def test_weights_and_statistics_are_the_same_tensors_under_the_same_names():
    ordinary = used(nn.BatchNorm2d(5, eps=1e-3, momentum=0.3))
    layer = SplitBatchNorm(ordinary, 8)
    assert list(layer.state_dict()) == list(ordinary.state_dict())
    assert list(dict(layer.named_parameters())) == ['weight', 'bias']
    for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'):
        assert getattr(layer, name) is getattr(ordinary, name)
    assert (layer.num_features, layer.eps, layer.momentum, layer.num_splits) == (5, 1e-3, 0.3, 8)


def test_which_layers_are_replaced():
    module = nn.Sequential(
        nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Sequential(nn.ReLU(), nn.Sequential(nn.BatchNorm1d(2))),
        nn.SyncBatchNorm(2), nn.GroupNorm(1, 2), nn.InstanceNorm2d(2, affine=True),
        nn.BatchNorm2d(2, track_running_stats=False))
    before = [type(layer) for layer in module]
    names = list(module.state_dict())
    split_batch_norms(module, 4)
    alone = [before[0], SplitBatchNorm, before[2], SplitBatchNorm]  # one process synchronises with none
    assert [type(layer) for layer in module] == [*alone, *before[4:]]
    assert type(module[2][1][0]) is SplitBatchNorm and module[2][1][0].num_splits == 4
    assert list(module.state_dict()) == names
    split_batch_norms(module, 2, smallest_group=5)
    assert (module[1].num_splits, module[1].smallest_group) == (2, 5), 'what is divided can be divided otherwise'


class NormAndActivation(nn.BatchNorm2d):
    """As timm's BatchNormAct2d: what it adds would be lost."""

    def forward(self, x):  # noqa: D102
        return super().forward(x).relu()


class Named(nn.BatchNorm2d):
    """Another class, but nothing else that it does."""


def test_a_layer_that_does_more_than_normalise_is_refused():
    with pytest.raises(ConfigError, match=r'The NormAndActivation 1 may do more than normalise.*set model.bn_splits=1'):
        split_batch_norms(nn.Sequential(nn.Sequential(nn.ReLU(), NormAndActivation(2))), 4)
    module = nn.Sequential(Named(2))
    split_batch_norms(module, 4)
    assert type(module[0]) is SplitBatchNorm


def test_the_moving_average_still_moves_the_weights():
    torch.manual_seed(0)
    query = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).double()
    average = ExponentialMovingAverage(query, momentum=0.25)
    average.update_parameters(query)
    split_batch_norms(query, 2)
    split_batch_norms(average, 2)
    assert type(average.module[1]) is type(query[1]) is SplitBatchNorm
    before = copy.deepcopy(average.module.state_dict())
    with torch.no_grad():
        for parameter in query.parameters():
            parameter.add_(torch.randn_like(parameter))
    average.update_parameters(query)
    for name, moved in average.module.named_parameters():
        expected = 0.75 * before[name] + 0.25 * dict(query.named_parameters())[name]
        torch.testing.assert_close(moved, expected, rtol=1e-12, atol=1e-12)
        assert (moved - before[name]).abs().min() > 1e-4
    x = batch_of(8, (3, 2, 2))  # what it computes with is what was moved
    hidden = average.module[0](x)
    expected = torch.cat([nn.functional.batch_norm(part, None, None, average.module[1].weight, average.module[1].bias,
                                                   training=True) for part in hidden.split(4)])
    torch.testing.assert_close(average(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('bn_splits, groups, smallest', [(None, 8, 16), (1, None, None), (4, 4, 2)])
def test_which_groups_a_model_has(bn_splits, groups, smallest):
    model = build(bn_splits=bn_splits)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert len(layers) == 40  # 20 in each encoder
    settings = {(getattr(layer, 'num_splits', None), getattr(layer, 'smallest_group', None)) for layer in layers}
    assert settings == {(groups, smallest)}
    assert list(model.state_dict()) == list(build(bn_splits=1).state_dict())
    assert model.key_shuffle.splits == (groups or 1)


def test_a_models_momentum_encoder_moves_by_what_the_optimizer_did():
    model = separated(bn_splits=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.loss(named(images(3, dtype=torch.float64)), samples([[0.4]] * 8))['loss'].backward()
    optimizer.step()
    before = copy.deepcopy(model.encoder('momentum').state_dict())
    model.loss(named(images(3, seed=1, dtype=torch.float64)), samples([[0.4]] * 8))
    query = dict(model.encoder('query').named_parameters())
    moved = dict(model.encoder('momentum').named_parameters())
    assert len(moved) == len(query) == 64
    for name, value in moved.items():
        torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * query[name], rtol=1e-12, atol=1e-12)
        assert not torch.equal(value, before[name]), name


def loss_and_gradients(bn_splits):
    """What a process computes of its share of a batch of 16, after one step: by rank, of all processes the mean."""
    rank, world_size = dist.get_dist_info()
    model = separated(bn_splits=bn_splits)
    views = [x.chunk(world_size)[rank] for x in images(3, num_samples=16, dtype=torch.float64)]
    torch.manual_seed(3)  # of the shuffle
    loss = model.loss(named(views), samples([[0.4]] * len(views[0])))['loss']
    loss.backward()
    results = dict(loss=loss.detach(), queue=model.queue.keys)
    results.update((f'gradient of {name}', p.grad) for name, p in model.named_parameters() if p.grad is not None)
    results.update((name, value) for name, value in model.encoder('query').state_dict().items() if 'running' in name)
    for value in results.values():
        dist.all_reduce(value, op='mean')
    return {name: value.numpy() for name, value in results.items()}


def type_of_synchronized():
    module = nn.Sequential(nn.SyncBatchNorm(2))
    split_batch_norms(module, 4)
    return type(module[0]).__name__


@pytest.mark.e2e
def test_what_several_processes_synchronise_stays():
    assert on_processes(2, type_of_synchronized) == ['SyncBatchNorm'] * 2


@pytest.mark.e2e
def test_two_groups_in_one_process_are_two_processes():
    here = loss_and_gradients(bn_splits=2)
    there, also_there = on_processes(2, loss_and_gradients, None)
    assert len(here) == 2 + 64 + 40
    plain = loss_and_gradients(bn_splits=1)
    for name, value in here.items():
        torch.testing.assert_close(there[name], value, rtol=1e-9, atol=1e-10, msg=name)
        torch.testing.assert_close(also_there[name], there[name], rtol=0, atol=0)
    assert abs(plain['loss'] - here['loss']) > 1e-3
