"""Keys of the query's own images, which the queue holds from earlier epochs."""

import copy

import pytest
import torch
from tiny_clim import images, named, nce, samples, separated

pytestmark = pytest.mark.usefixtures('one_torch_thread')

IDS, POSITIVES = [0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 9, 9, -1, 8, 7, -1]
LAM = [[0.1 * i] for i in range(8)]


def filled(queue_len=20, **kwargs):
    """A model whose queue holds 8 keys of ids 0 to 7, then 8 of 8, 9 and others, and 4 random vectors."""
    model = separated(queue_len=queue_len, norm='GN', **kwargs)
    for step, ids in enumerate([IDS, [8, 9, 9, 30, 31, 32, 33, 34]]):
        views = images(3, seed=10 + step, dtype=torch.float64)
        model.loss(named(views), samples(LAM, ids=ids, positives=[-1] * 8))
    return model


def by_brute_force(model, views, left_out):
    """The loss of the next step, each query against the keys of the queue whose ids are not among its own."""
    q = model.encoder('query')(views[0])['last']
    keys = [model.encoder('momentum')(x)['last'].detach() for x in views[1:]]
    losses, counts = [], []
    for i in range(8):
        kept = [place for place, of in enumerate(model.queue.ids.tolist()) if of not in left_out(i)]
        counts.append(20 - len(kept))
        anchor, positive = (nce(q[i:i + 1], k[i:i + 1], model.queue.keys[:, kept]) for k in keys)
        losses.append(LAM[i][0] * anchor + (1 - LAM[i][0]) * positive)
    return torch.stack(losses).mean(), counts


@pytest.mark.parametrize('mask, expected_counts', [
    (True, [2, 2, 3, 3, 1, 2, 2, 1]), (False, [0] * 8), (None, [0] * 8)])
def test_loss_and_gradients_leave_out_what_is_masked(mask, expected_counts):
    model = filled(mask_own_keys=mask)
    model.encoder_k.momentum = 0  # so that the keys can be made once more
    views = images(3, seed=20, dtype=torch.float64)
    expected, counts = by_brute_force(
        model, views, left_out=lambda i: {IDS[i], POSITIVES[i]} - {-1} if mask else set())
    assert counts == expected_counts
    parameters = list(model.encoder('query').parameters())
    gradients = torch.autograd.grad(expected, parameters)
    loss = model.loss(named(views), samples(LAM, ids=IDS, positives=POSITIVES))['loss']
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    for found, wanted in zip(torch.autograd.grad(loss, parameters), gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def test_masking_makes_a_difference():
    losses = []
    for mask in (True, False):
        views = named(images(3, seed=20, dtype=torch.float64))
        losses.append(filled(mask_own_keys=mask).loss(views, samples(LAM, ids=IDS, positives=POSITIVES))['loss'].item())
    assert losses[1] - losses[0] > 0.01


def test_views_without_ids_mask_nothing():
    losses = []
    for mask in (True, False):
        model = filled(mask_own_keys=mask)
        # Now keys without an id are in the queue.
        model.loss(named(images(2, dtype=torch.float64)), samples([None] * 8))
        losses.append(model.loss(named(images(2, seed=3, dtype=torch.float64)), samples([None] * 8))['loss'].item())
    assert losses[0] == losses[1]


def test_every_resolution_is_masked():
    views = [x for r in (32, 24) for x in images(3, sizes=(r, ), seed=r, dtype=torch.float64)]
    views = views[::3] + views[1::3] + views[2::3]
    data_samples = samples([[0.3, 0.6]] * 8, ids=IDS, positives=POSITIVES)
    model = filled()
    model.encoder_k.momentum = 0  # so that the keys can be made once more
    losses = []
    for mask in (True, False):
        model.mask_own_keys = mask
        losses.append(copy.deepcopy(model).loss(named(views), data_samples)['loss'].item())
    masked, unmasked = losses
    q = [model.encoder('query')(x)['last'] for x in views[:2]]
    anchors, positives = ([model.encoder('momentum')(x)['last'] for x in part]
                          for part in (views[2:4], views[4:]))
    terms = []
    for i in range(8):
        kept = [place for place, of in enumerate(model.queue.ids.tolist()) if of not in {IDS[i], POSITIVES[i]} - {-1}]
        for r, lam in enumerate((0.3, 0.6)):
            for s in range(2):
                a, p = (nce(q[r][i:i + 1], k[s][i:i + 1], model.queue.keys[:, kept]) for k in (anchors, positives))
                terms.append(lam * a + (1 - lam) * p)
    assert masked == pytest.approx(torch.stack(terms).mean().item(), abs=1e-10)
    assert unmasked - masked > 0.01
