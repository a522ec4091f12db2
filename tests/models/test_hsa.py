"""HSA: its equalities with CLIM and MoCo v2, its terms, levels, warm-up and refusals."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from tiny_clim import MOCO_HEAD, build, images, named, nce, samples
from tiny_hsa import HSA_HEAD, LEVELS, NECK, QUERIES, build_hsa, hsa_views

from clim_mm.errors import ConfigError
from clim_mm.models import MoCo
from clim_mm.models.algorithms.hsa import key_weights

LAM = [[0.3], [0.9], [1.0], [0.5], [0.7], [0.2], [0.6], [0.4]]


@pytest.fixture(autouse=True)
def hub():
    """No training is on its way: the share that is done is 0."""
    MessageHub.get_instance('hsa')
    yield MessageHub.get_current_instance()


def moved(model, seed=17):
    """The model in float64, with a momentum encoder that is no copy of the query encoder."""
    model = model.double()
    model.encoder_k.steps.fill_(1)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.encoder('query').parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def gradients(model):
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_the_mixed_term_at_one_level_is_clim():
    clim, hsa = moved(build()), moved(build_hsa(terms=('mixed', )))
    views = images(3, dtype=torch.float64)
    for step in range(3):
        losses = []
        for model in (clim, hsa):
            torch.manual_seed(step)  # of the shuffle
            losses.append(model.loss(named(views), samples(LAM, range(8), range(8, 16))))
            losses[-1]['loss'].backward()
        torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients(hsa), gradients(clim), rtol=0, atol=1e-12)
    torch.testing.assert_close(hsa.state_dict(), clim.state_dict(), rtol=0, atol=1e-12)


def test_the_anchors_term_without_others_is_moco():
    torch.manual_seed(0)
    moco = build(algorithm=MoCo, head=MOCO_HEAD).double()
    hsa = build_hsa(terms=('anchor', ), other_weight=0.0).double()
    for name in ('backbone', 'neck'):
        getattr(hsa, name).load_state_dict(getattr(moco, name).state_dict())
    hsa.encoder_k.module.load_state_dict(moco.encoder_k.module.state_dict())
    hsa.queue.keys.copy_(moco.queue)
    q, k = images(2, dtype=torch.float64)
    for step in range(3):
        torch.manual_seed(step)
        expected = moco.loss([q, k], samples([[1.0]] * 8))['loss']
        torch.manual_seed(step)
        loss = hsa.loss(dict(anchor_query=[q], anchor_key=[k]), samples([[1.0]] * 8))['loss']
        torch.testing.assert_close(loss, expected, rtol=0, atol=1e-6)
        expected.backward(), loss.backward()
        torch.testing.assert_close(hsa.queue.keys, moco.queue, rtol=0, atol=1e-6)
    for (name, parameter), other in zip(hsa.backbone.named_parameters(), moco.backbone.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, rtol=0, atol=1e-6, msg=name)


def features(model, views, level):
    """What each encoder makes of each view, when it is this view's turn."""
    model = copy.deepcopy(model)
    q = {name: F.normalize(model.encoder('query')(views[name][0])[level], dim=1) for name in QUERIES}
    model.encoder_k.update_parameters(model.encoder('query'))
    return q, {name: model.encoder_k.module(x[0])[level] for name, x in views.items() if 'key' in name}


def test_levels_and_terms_are_weighed_as_written_down():
    model = moved(build_hsa(LEVELS, level_weights=dict(res4=0.5, res5=1.0), other_weight=0.3))
    views, lam = hsa_views(dtype=torch.float64), torch.tensor(LAM).double()[:, 0]
    expected = {}
    for level, queue in zip(LEVELS, model.queue.keys.chunk(2), strict=True):
        (u, w, m), (k, p) = (each.values() for each in features(model, views, level))
        of_x = 0.7 * nce(u, k, queue) + 0.3 * nce(u, p, queue)
        of_y = 0.3 * nce(w, k, queue) + 0.7 * nce(w, p, queue)
        of_mix = lam * nce(m, k, queue) + (1 - lam) * nce(m, p, queue)
        expected[level] = (of_x + of_y + of_mix).mean() / 3
    found = model.loss(views, samples(LAM))
    torch.testing.assert_close(found['loss'], (0.5 * expected['res4'] + expected['res5']) / 1.5, rtol=0, atol=1e-6)
    log = torch.log(torch.tensor(25.0, dtype=torch.float64))
    torch.testing.assert_close(found['relative_nce_res4'], expected['res4'] / log, rtol=0, atol=1e-6)
    assert found['relative_nce'] == found['relative_nce_res5'] != found['relative_nce_res4']


def test_before_the_warmup_ends_the_other_image_has_no_weight(hub):
    views, data = hsa_views(), samples(LAM)
    losses = {}
    for iteration in (0, 54, 55, 999):
        hub.update_info('max_iters', 1000)
        hub.update_info('iter', iteration)
        torch.manual_seed(0)
        losses[iteration] = build_hsa(warmup=0.055).loss(views, data)['loss']
    torch.manual_seed(0)
    alone = build_hsa(other_weight=0.0).loss(views, data)['loss']
    assert losses[0] == losses[54] == alone
    assert losses[55] == losses[999] != alone


def test_several_neighbours_share_the_weight():
    lam = torch.tensor([0.3, 1.0])
    expected = dict(
        anchor=[[0.5, 0.5], [0.25, 0.25], [0.25, 0.25]],
        positive=[[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]],
        mixed=[[0.3, 1.0], [0.7, 0.0], [0.0, 0.0]])
    for term, rows in expected.items():
        torch.testing.assert_close(key_weights(term, 0.5, lam, 2), torch.tensor(rows))
    assert key_weights('anchor', 0.5, lam, 0).tolist() == [[1.0, 1.0]]
    model, views = build_hsa(terms=('anchor', )), hsa_views(num_positives=3)
    (u, _, _), keys = (each.values() for each in features(model, views, 'last'))
    terms = [nce(u, key, model.queue.keys) for key in keys]
    expected = (0.5 * terms[0] + sum(terms[1:]) / 6).mean()
    torch.testing.assert_close(model.loss(views, samples(LAM))['loss'], expected, rtol=0, atol=1e-5)


def test_each_crop_counts_as_a_term():
    views, data = hsa_views(num_crops=2), samples(LAM)
    calls = []
    model = build_hsa()
    model.head.register_forward_hook(lambda head, inputs, output: calls.append((inputs[2], output)))
    loss = model.loss(views, data)['loss']
    assert len(calls) == 5
    torch.testing.assert_close(loss, torch.stack([output for _, output in calls]).mean())
    for weights, _ in calls[:2]:
        assert (weights == 0.5).all()


def test_all_keys_of_a_level_enter_together():
    model = build_hsa(LEVELS, queue_len=10)
    entered = []
    model.queue.listeners.append(lambda keys, ids: entered.append((keys, ids)))
    before = model.queue.keys.clone()
    model.loss(hsa_views(), samples(LAM, range(8)))
    assert model.queue.keys.shape == (32, 10)
    assert model.queue.ids.tolist() == [*range(8), -1, -1]
    torch.testing.assert_close(model.queue.keys[16:, :8], entered[0][0].T)
    assert (model.queue.keys[:, 8:] == before[:, 8:]).all()
    torch.testing.assert_close(model.queue.keys.unflatten(0, (2, 16)).norm(dim=1), torch.ones(2, 10))


def test_every_part_of_the_query_side_learns():
    model = build_hsa(LEVELS)
    model.loss(hsa_views(), samples(LAM))['loss'].backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None
                and parameter.grad.abs().sum() > 0}
    assert learning == {name for name, parameter in model.named_parameters() if not name.startswith('encoder_k')}


def test_its_own_keys_are_left_out_of_the_negatives():
    model = build_hsa(mask_own_keys=True)
    masks = []
    model.head.register_forward_pre_hook(lambda head, inputs: masks.append(inputs[4]))
    data = samples(LAM, range(8), range(8, 16))
    for i, sample in enumerate(data):
        sample.set_metainfo(dict(other_idx=(16 + i, )))
    model.queue.ids[:5] = torch.tensor([0, 9, 18, 99, -1])
    model.loss(hsa_views(num_positives=2), data)
    assert masks[0].nonzero().tolist() == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize('options, message', [
    (dict(terms=()), 'model.terms must name some of anchor, positive, mixed, each once'),
    (dict(terms=('mixed', 'mixed')), 'each once'),
    (dict(terms=('other', )), 'model.terms must name'),
    (dict(other_weight=1.5), 'model.other_weight must be a number'),
    (dict(warmup=-1), 'model.warmup must be'),
    (dict(neck=LEVELS, level_weights=dict(res4=0.5)), 'a weight for each of the levels res4, res5'),
    (dict(neck=LEVELS, level_weights=dict(res4=0, res5=1)), 'model.level_weights.res4 must be a number above 0'),
    (dict(neck=dict(LEVELS, res5=dict(NECK, out_channels=8))), 'features of 8, 16 dimensions'),
])
def test_settings_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        build_hsa(**options)


@pytest.mark.parametrize('missing', [*QUERIES, 'anchor_key', 'positive_key'])
def test_a_missing_view_is_named(missing):
    views = hsa_views()
    del views[missing]
    with pytest.raises(ConfigError, match=f'HSA takes views by the names .*{missing}'):
        build_hsa().loss(views, samples(LAM))


def test_the_supcon_form_is_larger_than_the_mean_of_nce():
    views, data = hsa_views(), samples(LAM)
    own = build_hsa().loss(views, data)['loss']
    assert build_hsa(head=dict(HSA_HEAD, denominator='all')).loss(views, data)['loss'] > own
