"""The baseline: MMSelfSup's MoCo bit for bit, whose features are taken as those of CLIM."""

import mmselfsup.models
import pytest
import torch
from tiny_clim import MOCO_HEAD, build, images

from clim_mm.errors import ConfigError
from clim_mm.models import MoCo
from clim_mm.protocols import Embeds, HasQueues, KeepsQueues

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def built(algorithm):
    return build(algorithm, MOCO_HEAD)


def trained(algorithm, steps=3):
    """A model after some steps, and its losses."""
    model = built(algorithm).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(steps):
        torch.manual_seed(step)
        loss = model(images(2, seed=step), None, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def test_losses_and_weights_are_those_of_mmselfsup():
    (ours, our_losses), (theirs, their_losses) = trained(MoCo), trained(mmselfsup.models.MoCo)
    assert our_losses == their_losses and len({*our_losses}) == 3
    state = theirs.state_dict()
    assert ours.state_dict().keys() == state.keys()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_checkpoint_of_mmselfsup_is_loaded():
    built(MoCo).load_state_dict(trained(mmselfsup.models.MoCo, steps=1)[0].state_dict())


@pytest.mark.parametrize('encoder', ['momentum', 'query'])
@pytest.mark.parametrize('layer', ['embedding', 'pooled'])
def test_embed_batch(encoder, layer):
    model = trained(MoCo, steps=2)[0].eval()
    x = images(1)[0]
    parts = model.encoder_k.module if encoder == 'momentum' else (model.backbone, model.neck)
    features = parts[0](x)
    expected = parts[1](features)[0] if layer == 'embedding' else features[-1].mean(dim=(2, 3))
    expected = expected / expected.norm(dim=1, keepdim=True)

    found = model.embed_batch(dict(inputs=[x], sample_idx=torch.arange(8)), encoder, layer)
    assert found.dtype == torch.float32 and not found.requires_grad
    assert found.shape == (8, dict(embedding=16, pooled=64)[layer])
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-6)


def test_it_embeds_as_clim_does():
    """With the same weights in the same encoders, to the last bit."""
    moco, clim = trained(MoCo, steps=2)[0].eval(), build().eval()
    for name in ('momentum', 'query'):
        clim.encoder(name).load_state_dict(moco.encoder(name).state_dict())
    batch = dict(inputs=images(1), sample_idx=torch.arange(8))
    found = {}
    for name in ('momentum', 'query'):
        for layer in ('embedding', 'pooled'):
            for amp in (False, True):
                options = dict(encoder=name, layer=layer, amp=amp, channels_last=amp)
                found[name, layer, amp] = moco.embed_batch(batch, **options)
                assert torch.equal(found[name, layer, amp], clim.embed_batch(batch, **options)), options
    assert torch.equal(moco.embed_batch(batch), found['momentum', 'embedding', False]), 'the defaults'
    assert not torch.equal(found['momentum', 'embedding', False], found['query', 'embedding', False])


def test_what_it_says_of_itself():
    model = built(MoCo)
    assert isinstance(model, Embeds) and model.embedding_dim == 16


def test_a_queue_that_the_keys_of_a_step_do_not_divide():
    model = build(MoCo, MOCO_HEAD, queue_len=20)
    keys = torch.arange(3 * 8.0).repeat(16, 1).T  # 24 keys of 16 dimensions
    for batch in keys.split(8):
        model._dequeue_and_enqueue(batch)
    assert model.queue[0].tolist() == [20, 21, 22, 23, *range(4, 20)] and int(model.queue_ptr) == 4
    with pytest.raises(ConfigError, match='model.queue_len=20 is too short for the 24 keys of one step: set'):
        model._dequeue_and_enqueue(keys)


def test_it_keeps_a_queue_that_no_hook_advances():
    model = build(MoCo, MOCO_HEAD)
    assert isinstance(model, KeepsQueues) and not isinstance(model, HasQueues)
    assert [queue.keys.shape for queue in model.queues.values()] == [(16, 24)]
