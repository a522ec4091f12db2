"""Channels innermost: the same values, in a format that nothing on the way undoes."""

import io

import pytest
import torch
import torch.nn as nn
from gloo import on_processes
from mmengine import dist
from mmengine.model.wrappers import MMDistributedDataParallel
from tiny_clim import build, images, named, samples, separated

from clim_mm.errors import ConfigError
from clim_mm.models.parts.encoder import embed

pytestmark = pytest.mark.usefixtures('one_torch_thread')

LAST = torch.channels_last


def has_channels_last(x):
    return x.is_contiguous(memory_format=LAST)


def pair(**kwargs):
    """Two models of the same weights: as usual, and with the channels innermost."""
    usual, last = separated(**kwargs), separated(channels_last=True, **kwargs)
    last.load_state_dict(usual.state_dict())
    return usual, last


def step(model, optimizer, seed):
    """The loss of a step on 8 samples of two resolutions."""
    torch.manual_seed(seed)  # of the shuffle
    views = named(images(3, sizes=(32, 24), seed=seed, dtype=torch.float64))
    loss = model.loss(views, samples([[0.4, 0.6]] * 8))['loss']
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)


def note_formats(model):
    """Note of all 4-dimensional results of the model's layers whether the channels are innermost."""
    noted = []

    def note(layer, inputs, output):
        noted.append(output.dim() < 4 or has_channels_last(output))

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.modules.batchnorm._BatchNorm, nn.ReLU, nn.MaxPool2d)):
            layer.register_forward_hook(note)
    return noted


@pytest.mark.parametrize('bn_splits', [1, 2])
def test_the_training_is_the_same(bn_splits):
    usual, last = pair(bn_splits=bn_splits)
    optimizers = [sgd(usual), sgd(last)]
    formats = note_formats(last)
    for seed in range(3):
        expected, loss = (step(model, optimizer, seed) for model, optimizer in zip((usual, last), optimizers,
                                                                                    strict=True))
        torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    for (name, value), wanted in zip(last.state_dict().items(), usual.state_dict().values(), strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-6, atol=1e-8, msg=name)
    assert len(formats) > 300 and all(formats)


def test_the_same_seed_gives_the_same_weights():
    for (name, value), wanted in zip(build(channels_last=True).state_dict().items(), build().state_dict().values(),
                                     strict=True):
        assert torch.equal(value, wanted), name


def test_weights_gradients_averages_and_momenta_keep_the_format():
    model = separated(channels_last=True)
    optimizer = sgd(model)
    step(model, optimizer, 0)
    step(model, optimizer, 1)
    convolutions = {name: layer.weight for name, layer in model.named_modules()
                    if isinstance(layer, nn.Conv2d) and layer.weight.shape[-1] > 1}  # of 1 x 1 it is both formats
    assert len(convolutions) == 2 * 17  # of both encoders
    for name, weight in convolutions.items():
        assert has_channels_last(weight) and not weight.is_contiguous(), name
        if weight.requires_grad:
            assert has_channels_last(weight.grad) and has_channels_last(optimizer.state[weight]['momentum_buffer'])


def test_a_checkpoint_goes_on_in_either_format():
    usual, last = pair()
    optimizer = sgd(last)
    step(last, optimizer, 0)
    file = io.BytesIO()
    torch.save(dict(model=last.state_dict(), optimizer=optimizer.state_dict()), file)
    found = []
    for channels_last in (True, False):
        file.seek(0)
        state = torch.load(file, weights_only=True)
        model = build(seed=5, channels_last=channels_last).double()
        model.load_state_dict(state['model'])
        assert has_channels_last(model.backbone.conv1.weight) == channels_last
        resumed = sgd(model)
        resumed.load_state_dict(state['optimizer'])
        step(model, resumed, 1)
        found.append(step(model, resumed, 2))
    step(last, optimizer, 1)
    expected = step(last, optimizer, 2)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=0)
    torch.testing.assert_close(found[1], expected, rtol=1e-9, atol=1e-9)


def gradients_of_two(channels_last):
    """What DDP leaves in each of two processes."""
    rank = dist.get_rank()
    model = pair()[channels_last]
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    views = [x.chunk(2)[rank] for x in images(3, num_samples=8, sizes=(32, 24), dtype=torch.float64)]
    torch.manual_seed(3)
    wrapped(named(views), samples([[0.4, 0.6]] * 4), mode='loss')['loss'].backward()
    formats = [has_channels_last(p.grad) for p in model.parameters() if p.grad is not None and p.dim() == 4]
    return {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}, formats


@pytest.mark.e2e
def test_several_processes_exchange_images_and_gradients():
    (usual, _), _ = on_processes(2, gradients_of_two, False)
    (last, formats), (others, _) = on_processes(2, gradients_of_two, True)
    assert len(formats) == 20 and all(formats)
    for name, gradient in usual.items():
        torch.testing.assert_close(last[name], gradient, rtol=1e-8, atol=1e-10, msg=name)
        torch.testing.assert_close(others[name], last[name], rtol=0, atol=0)


@pytest.mark.parametrize('how', ['the model', 'the extraction'])
@pytest.mark.parametrize('layer', ['embedding', 'pooled'])
def test_features_are_the_same(how, layer):
    usual, last = (model.eval() for model in pair())
    x = images(1, dtype=torch.float64)[0]
    expected = embed(usual.encoder('momentum'), x, layer)
    model = last if how == 'the model' else usual
    formats = note_formats(model)
    found = embed(model.encoder('momentum'), x, layer, channels_last=how == 'the extraction')
    assert len(formats) > 30 and all(formats)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_it_must_be_a_switch():
    with pytest.raises(ConfigError, match='model.channels_last must be True or False, not \'no\''):
        build(channels_last='no')
