"""The features that CLIM gives for the choice of positives."""

import copy

import pytest
import torch
from tiny_clim import build, images, separated

from clim_mm.models.parts.encoder import embed

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def test_before_the_first_step_both_encoders_embed_alike():
    model = build().eval()
    x = images(1)[0]
    torch.testing.assert_close(embed(model.encoder('momentum'), x), embed(model.encoder('query'), x), rtol=0, atol=0)


@pytest.mark.parametrize('encoder', ['momentum', 'query'])
@pytest.mark.parametrize('layer', ['embedding', 'pooled'])
def test_embed(encoder, layer):
    model = separated().eval()
    x = images(1, dtype=torch.float64)[0]
    backbone, neck = model.encoder(encoder)
    features = backbone(x)
    expected = neck(features)[0] if layer == 'embedding' else features[-1].mean(dim=(2, 3))
    expected = expected / expected.norm(dim=1, keepdim=True)

    found = embed(model.encoder(encoder), x, layer)
    assert found.dtype == torch.float32 and not found.requires_grad
    assert found.shape == (8, dict(embedding=16, pooled=64)[layer])
    torch.testing.assert_close(found, expected.detach().float(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(8), rtol=1e-6, atol=1e-6)


def test_the_options_of_embed_matter_and_have_their_defaults():
    model = separated().eval()
    x = images(1, dtype=torch.float64)[0]
    momentum = model.encoder('momentum')
    found = {encoder: embed(model.encoder(encoder), x) for encoder in ('momentum', 'query')}
    assert (found['momentum'] - found['query']).abs().max() > 0.01
    torch.testing.assert_close(embed(momentum, x), embed(momentum, x, 'embedding'), rtol=0, atol=0)


def test_embed_in_eval_mode_repeats_itself_and_takes_each_image_alone():
    model = separated().eval()
    before = copy.deepcopy(model.state_dict())
    x = images(1, dtype=torch.float64)[0]
    encoder = model.encoder('momentum')
    first = embed(encoder, x)
    torch.testing.assert_close(embed(encoder, x), first, rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([embed(encoder, x[i:i + 1]) for i in range(8)]), first, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(embed(encoder, x.flip(0)).flip(0), first, rtol=1e-6, atol=1e-7)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_embed_under_autocast_is_normalized_float32():
    model, x = build().eval(), images(1)[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = embed(model.encoder('momentum'), x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(8), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, embed(model.encoder('momentum'), x), rtol=0, atol=0.05)


@pytest.mark.parametrize('channels_last', [False, True])
def test_embed_in_bfloat16_is_near_that_in_float32(channels_last):
    model = build().eval()
    x = images(1, num_samples=32)[0]
    expected = embed(model.encoder('momentum'), x)
    found = embed(model.encoder('momentum'), x, amp=True, channels_last=channels_last)
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    assert (found * expected).sum(dim=1).min() > 0.999  # cosines
    assert (expected @ expected.T).fill_diagonal_(0).max() < 0.9999, 'images are told apart by more than that'
