"""C2BIN: BYOL and the clusters of the whole batch, in one process and in several."""

import pytest
import torch
from gloo import on_processes
from mmengine.logging import MessageHub
from tiny_byol import build, gradients, labelled, total
from tiny_clim import images

from clim_mm.distributed import DeviceDDP
from clim_mm.errors import ConfigError
from clim_mm.models import C2BIN
from clim_mm.protocols import ChecksBatch, Judged

pytestmark = pytest.mark.usefixtures('one_torch_thread')
N = 12


def views(dtype=torch.float64):
    return images(2, N, dtype=dtype)


def after_loss(model, samples=()):
    """The losses of a batch; the gradients are the model's."""
    losses = model.loss(views(), samples)
    total(losses).backward()
    return losses


def test_without_clusters_it_is_byol():
    byol, c2bin = build().double(), build(C2BIN, beta=0.0).double()
    c2bin.load_state_dict(byol.state_dict(), strict=False)
    torch.testing.assert_close(*(total(after_loss(model)) for model in (byol, c2bin)), rtol=0, atol=1e-12)
    expected, found = gradients(byol), gradients(c2bin)
    heads = {name for name in found if name.startswith('cluster_heads.')}
    assert set(found) - heads == set(expected) and len(heads) == 8
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12, msg=name)
    assert all((found[name] == 0).all() for name in heads), 'they have one, so that processes agree'


def test_the_cluster_loss_is_the_mean_of_the_heads():
    model = build(C2BIN, norm=False, beta=0.5).double()
    losses = model.loss(views(), [])
    pooled = [model.backbone(x)[-1].mean(dim=(2, 3)) for x in views()]
    each = [head.loss(*map(head, pooled)) for head in model.cluster_heads]
    torch.testing.assert_close(losses['loss_cluster'], 0.5 * (each[0] + each[1]) / 2)
    assert set(losses) == {'loss_boot', 'loss_cluster', *model.health_rules.figures}


@pytest.mark.parametrize('epoch, begun', [(2, False), (3, True)])
def test_clusters_begin_at_their_epoch(epoch, begun):
    hub = MessageHub.get_instance('test_c2bin')
    hub.update_info('epoch', epoch)
    try:
        model = build(C2BIN, start_epoch=3).double()
        assert bool(after_loss(model)['loss_cluster'] > 0) == begun
    finally:
        MessageHub._instance_dict.pop('test_c2bin')
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_unlabelled_images_are_bootstrapped_only():
    labels = [3, -1, 0, 5, -1, -1, 1, 2, -1, 4, 0, 9]
    model = build(C2BIN, norm=False, clustered_labels_only=True).double()
    losses = model.loss(views(), labelled(labels))
    kept = torch.tensor(labels) >= 0
    alone = build(C2BIN, norm=False).double().loss([x[kept] for x in views()], [])
    torch.testing.assert_close(losses['loss_cluster'], alone['loss_cluster'])
    whole = build(C2BIN, norm=False).double().loss(views(), [])
    assert torch.equal(losses['loss_boot'], whole['loss_boot'])
    assert not torch.allclose(losses['loss_cluster'], whole['loss_cluster'])


def test_a_batch_without_a_label():
    model = build(C2BIN, clustered_labels_only=True).double()
    losses = after_loss(model, labelled([-1] * N))
    assert losses['loss_cluster'] == 0 and 'largest_cluster_head_2' not in losses
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    with pytest.raises(ConfigError, match='clustered_labels_only needs to know which images have a label'):
        model.loss(views(), [])


LABELS = [-1, 2, -1, -1, 5, 1, 0, 0, 3, -1, 1, 1]


def gradients_of_process(only):
    """The gradients of one of several processes, under DDP, which takes their mean; and its losses."""
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    model = DeviceDDP(build(C2BIN, norm=False, clustered_labels_only=only).double(), broadcast_buffers=False)
    part = slice(rank * N // size, (rank + 1) * N // size)
    losses = model([x[part] for x in views()], labelled(LABELS[part]), mode='loss')
    total(losses).backward()
    return ({name: gradient.numpy() for name, gradient in gradients(model.module).items()},
            {name: float(value.detach()) for name, value in losses.items()})


@pytest.mark.e2e
@pytest.mark.parametrize('only', [False, True])
@pytest.mark.parametrize('size', [2, 3])
def test_processes_equal_one_with_the_whole_batch(size, only):
    model = build(C2BIN, norm=False, clustered_labels_only=only).double()
    whole = after_loss(model, labelled(LABELS))
    expected = gradients(model)
    for found, losses in on_processes(size, gradients_of_process, only):
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(torch.as_tensor(found[name]), gradient, rtol=1e-6, atol=1e-9, msg=name)
        assert losses['loss_cluster'] == pytest.approx(float(whole['loss_cluster'].detach()), abs=1e-9)
        assert losses['empty_clusters_head_4'] == float(whole['empty_clusters_head_4']), 'of the whole batch'


def test_assignments_of_a_batch():
    model = build(C2BIN).eval()
    batch = dict(inputs=views(torch.float32), sample_idx=torch.arange(N))
    found = model.assign_batch(batch)
    assert model.num_clusters == (2, 4)
    assert found.shape == (N, 6) and found.dtype == torch.float32 and not found.requires_grad
    for head, p in zip(model.cluster_heads, found.split([2, 4], dim=1), strict=True):
        torch.testing.assert_close(p, head(model.backbone(batch['inputs'][0])[-1].mean(dim=(2, 3))).detach())
    torch.testing.assert_close(model.assign_batch(batch, amp=True, channels_last=True), found, rtol=0, atol=0.02)


@pytest.mark.parametrize('images_in_batch, sentence', [
    (16, ''), (15, 'A batch of 15 images has 3.8 for each of the 4 clusters of the largest head: lower')])
def test_a_batch_that_is_small_for_the_clusters(images_in_batch, sentence):
    model = build(C2BIN)
    assert isinstance(model, ChecksBatch) and model.check_batch(images_in_batch).startswith(sentence or '')
    assert bool(model.check_batch(images_in_batch)) == bool(sentence)
    assert model.check_batch(8)
    with pytest.raises(ConfigError, match='A batch of 7 images has 1.8 for each of the 4 clusters'):
        model.check_batch(7)


def test_its_rules():
    model = build(C2BIN)
    assert isinstance(model, Judged) and 'largest_cluster_head_4' in model.health_rules.figures


@pytest.mark.parametrize('settings, sentence', [
    (dict(num_clusters=()), 'model.num_clusters must be a list that is not empty'),
    (dict(num_clusters=(4, 2)), 'model.num_clusters must rise from head to head'),
    (dict(num_clusters=(4, 4)), 'model.num_clusters must rise from head to head'),
    (dict(num_clusters=(1, 4)), 'A number of model.num_clusters must be a whole number of at least 2'),
    (dict(beta=-1), 'model.beta must be a number of at least 0'),
    (dict(start_epoch=-1), 'model.start_epoch must be a whole number'),
    (dict(clustered_labels_only=1), 'model.clustered_labels_only must be True or False'),
])
def test_refused_settings(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(C2BIN, **settings)
