"""CLIM against MMSelfSup's MoCo, and against the loss computed term by term."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmselfsup.models.algorithms import MoCo
from mmselfsup.structures import SelfSupDataSample

from clim_mm.errors import ConfigError
from clim_mm.models import CLIM
from clim_mm.models.clim import largest, split_views

pytestmark = pytest.mark.usefixtures('one_torch_thread')

MOCO_HEAD = dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss'), temperature=0.2)
CLIM_HEAD = dict(type='clim_mm.MixedContrastiveHead', temperature=0.2)


def build(algorithm=CLIM, head=CLIM_HEAD, queue_len=24, seed=0, **kwargs):
    """A ResNet-18 with an eighth of the channels, on images of 32 pixels and less."""
    torch.manual_seed(seed)
    model = algorithm(
        backbone=dict(
            type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[4],
            norm_cfg=dict(type='BN')),
        neck=dict(type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=32, out_channels=16, with_avg_pool=True),
        head=copy.deepcopy(head),
        queue_len=queue_len,
        feat_dim=16,
        momentum=0.9,
        **kwargs)
    model.init_weights()
    return model


def images(num_views, num_samples=8, sizes=(32, ), seed=0, dtype=torch.float32):
    """``num_views`` batches at each of the sizes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(num_samples, 3, r, r, generator=generator, dtype=torch.float64).to(dtype)
            for _ in range(num_views) for r in sizes]


def samples(lam):
    """Data samples with one list of lam each."""
    return [SelfSupDataSample(metainfo=dict(lam=row)) for row in lam]


def separated(**kwargs):
    """A float64 model in train mode whose momentum encoder is not a copy of the query encoder."""
    model = build(**kwargs).double()
    model.encoder_k.steps.fill_(1)  # MMEngine's average is a plain copy at step 0
    torch.manual_seed(17)
    with torch.no_grad():
        for parameter in model.encoder('query').parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def nce(q, key, queue, temperature=0.2):
    logits = torch.cat([(q * key).sum(dim=1, keepdim=True), q @ queue], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long), reduction='none')


@pytest.mark.parametrize('num_views', [2, 3], ids=['views of MoCo', 'with positives at lam = 1'])
@pytest.mark.parametrize('dtype, tolerance', [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_unmixed_it_is_moco(num_views, dtype, tolerance):
    moco, clim = build(MoCo, MOCO_HEAD).to(dtype), build(seed=1).to(dtype)
    clim.load_state_dict(moco.state_dict())
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9) for model in (moco, clim)]
    losses = []
    for step in range(5):
        if dtype == torch.float32:
            # Rounding alone would drive two runs apart; in float64 they run freely.
            clim.load_state_dict(moco.state_dict())
        views = images(num_views, seed=step, dtype=dtype)
        torch.manual_seed(step)  # of the batch shuffle
        expected = moco.loss(views[:2], samples([[1.0]] * 8))['loss']
        torch.manual_seed(step)
        loss = clim.loss(views, samples([[1.0]] * 8))['loss']
        torch.testing.assert_close(loss, expected, rtol=0, atol=tolerance)
        losses.append(loss.item())
        torch.testing.assert_close(clim.queue, moco.queue, rtol=0, atol=tolerance)
        assert clim.queue_ptr.tolist() == moco.queue_ptr.tolist() == [8 * (step + 1) % 24]

        expected.backward()
        loss.backward()
        gradients, theirs = ({name: p.grad for name, p in model.named_parameters() if p.grad is not None}
                             for model in (clim, moco))
        trained = {name for name, _ in clim.named_parameters() if name.startswith(('backbone.', 'neck.'))}
        assert set(gradients) == set(theirs) == trained
        largest_gradient = max(gradient.abs().max().item() for gradient in theirs.values())
        assert largest_gradient > 0.1
        for name, gradient in theirs.items():
            torch.testing.assert_close(
                gradients[name], gradient, rtol=0, atol=2 * tolerance * largest_gradient, msg=name)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for (name, mine), other in zip(clim.named_parameters(), moco.parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance, msg=name)
    assert len({round(value, 4) for value in losses}) == 5


def test_the_state_of_moco_can_be_loaded_and_the_other_way_round():
    moco, clim = build(MoCo, MOCO_HEAD), build(seed=1)
    assert list(clim.state_dict()) == list(moco.state_dict())


@pytest.mark.parametrize('sizes', [(32, ), (32, 24), (24, 32, 16)])
def test_the_loss_is_the_mean_over_ordered_pairs_of_resolutions(sizes):
    model = separated()
    views = images(3, sizes=sizes, dtype=torch.float64)
    lam = torch.rand(8, len(sizes), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    queue = model.queue.clone()
    loss = model.loss(views, samples(lam.tolist()))['loss']

    # Batch normalisation by the batch's own statistics: the same again, in whatever order.
    def encode(name, x):
        return F.normalize(model.encoder(name)(x)[0], dim=1)

    num = len(sizes)
    queries = [encode('query', x) for x in views[:num]]
    anchors = [encode('momentum', x) for x in views[num:2 * num]]
    positives = [encode('momentum', x) for x in views[2 * num:]]
    terms = [lam[:, r] * nce(queries[r], anchors[s], queue) + (1 - lam[:, r]) * nce(queries[r], positives[s], queue)
             for r in range(num) for s in range(num)]
    assert len(terms) == num**2
    torch.testing.assert_close(loss, torch.stack(terms).mean(), rtol=1e-10, atol=1e-10)


def test_without_positives_the_loss_is_the_mean_over_pairs_of_plain_nce():
    model = separated()
    views = images(2, sizes=(32, 24), dtype=torch.float64)
    queue = model.queue.clone()
    loss = model.loss(views, samples([None] * 8))['loss']
    queries, anchors = ([F.normalize(model.encoder(name)(x)[0], dim=1) for x in part]
                        for name, part in (('query', views[:2]), ('momentum', views[2:])))
    expected = torch.stack([nce(q, k, queue) for q in queries for k in anchors]).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)


def test_only_the_query_encoder_gets_gradients():
    model = separated()
    model.loss(images(3, sizes=(32, 24), dtype=torch.float64), samples([[0.4, 0.6]] * 8))['loss'].backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.encoder('query').parameters())
    assert all(p.grad is None for p in model.encoder('momentum').parameters())


def test_the_momentum_encoder_moves_once_a_step():
    model = separated()
    before = copy.deepcopy(model.encoder('momentum').state_dict())
    model.loss(images(3, sizes=(32, 24), dtype=torch.float64), samples([[0.4, 0.6]] * 8))
    query = dict(model.encoder('query').named_parameters())
    for name, moved in model.encoder('momentum').named_parameters():
        torch.testing.assert_close(moved, 0.9 * before[name] + 0.1 * query[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('sizes', [(32, ), (32, 24), (24, 32, 16)])
@pytest.mark.parametrize('num_views', [2, 3])
def test_the_anchors_keys_at_the_largest_resolution_enter_the_queue(sizes, num_views):
    model = separated()
    views = images(num_views, sizes=sizes, dtype=torch.float64)
    before = model.queue.clone()
    model.loss(views, samples([[0.5] * len(sizes)] * 8))
    x_anchor = views[len(sizes) + sizes.index(32)]
    assert x_anchor.shape[-1] == 32
    keys = F.normalize(model.encoder('momentum')(x_anchor)[0], dim=1)
    torch.testing.assert_close(model.queue[:, :8], keys.T, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.queue[:, 8:], before[:, 8:], rtol=0, atol=0)
    assert model.queue_ptr.tolist() == [8]


@pytest.mark.parametrize('queue_len, batch_size', [(10, 4), (9, 4), (8, 8), (11, 8), (7, 7)])
def test_the_queue_wraps_around(queue_len, batch_size):
    model = separated(queue_len=queue_len)
    expected, place = model.queue.clone(), 0
    for step in range(6):
        views = images(3, num_samples=batch_size, seed=step, dtype=torch.float64)
        model.loss(views, samples([[0.5]] * batch_size))
        keys = F.normalize(model.encoder('momentum')(views[1])[0], dim=1)
        for key in keys:
            expected[:, place] = key
            place = (place + 1) % queue_len
        torch.testing.assert_close(model.queue, expected, rtol=1e-10, atol=1e-10)
        assert model.queue_ptr.tolist() == [place]


def test_a_key_is_no_negative_of_its_own_step():
    # A queue of one step's keys, all of which are replaced: the loss must still be against the old ones.
    model = separated(queue_len=8)
    views = images(2, dtype=torch.float64)
    old = model.queue.clone()
    loss = model.loss(views, samples([None] * 8))['loss']
    q = F.normalize(model.encoder('query')(views[0])[0], dim=1)
    k = F.normalize(model.encoder('momentum')(views[1])[0], dim=1)
    torch.testing.assert_close(loss, nce(q, k, old).mean(), rtol=1e-10, atol=1e-10)
    assert abs(loss - nce(q, k, model.queue).mean()) > 1e-3
    loss.backward()


def test_more_keys_than_the_queue_holds_are_an_error():
    with pytest.raises(ConfigError, match='queue_len=7 is too short for the 8 keys .* at least 8'):
        build(queue_len=7).loss(images(3), samples([[0.5]] * 8))


def test_init_weights_makes_the_encoders_equal():
    torch.manual_seed(0)
    model = build()
    with torch.no_grad():
        for value in model.encoder('momentum').state_dict().values():
            value.fill_(3)
    model.init_weights()
    query, momentum = model.encoder('query').state_dict(), model.encoder('momentum').state_dict()
    assert list(query) == list(momentum) and len(query) > 100
    for name, value in query.items():
        torch.testing.assert_close(momentum[name], value, rtol=0, atol=0)
    assert not {value.data_ptr() for value in query.values()} & {value.data_ptr() for value in momentum.values()}


def test_before_the_first_step_both_encoders_embed_alike():
    model = build().eval()
    x = images(1)[0]
    torch.testing.assert_close(model.embed(x, 'momentum'), model.embed(x, 'query'), rtol=0, atol=0)


def test_autocast_keeps_the_loss_and_the_queue_in_float32():
    exact, rounded = build(), build()
    views = images(3, sizes=(32, 24))
    expected = exact.loss(views, samples([[0.4, 0.6]] * 8))['loss']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = rounded.loss(views, samples([[0.4, 0.6]] * 8))['loss']
    assert loss.dtype == rounded.queue.dtype == torch.float32
    # The encoders are rounded, the loss is not.
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)
    torch.testing.assert_close(rounded.queue.norm(dim=0), torch.ones(24), rtol=1e-6, atol=1e-6)


def views_of(*sizes):
    return [torch.zeros(2, 3, *(size if isinstance(size, tuple) else (size, size))) for size in sizes]


@pytest.mark.parametrize('sizes', [(32, ), (32, 24), (24, 32), (48, 32, 24), ((32, 24), (24, 32))])
@pytest.mark.parametrize('parts', [2, 3])
def test_split_views(sizes, parts):
    views = views_of(*sizes * parts)
    queries, anchors, positives = split_views(views)
    num = len(sizes)
    expected = [views[:num], views[num:2 * num], views[2 * num:]]
    for part, wanted in zip((queries, anchors, positives), expected, strict=True):
        assert [id(x) for x in part] == [id(x) for x in wanted]


@pytest.mark.parametrize('sizes', [
    (),
    (32, ),
    (32, 24),
    (32, 24, 16),
    (32, 32, 32, 32),
    (32, 32, 32, 32, 32, 32),
    (32, 32, 24),
    (32, 32, 24, 24),
    (32, 24, 24, 32),
    (32, 24, 32, 24, 24, 32),
    (32, 32, 32, 24, 24, 24),
    (32, 24, 32, 24, 32),
    (32, 24) * 4,
])
def test_views_of_another_form_are_an_error(sizes):
    with pytest.raises(ConfigError, match='at each resolution'):
        split_views(views_of(*sizes))


def test_the_loss_refuses_views_of_another_form():
    with pytest.raises(ConfigError, match='at each resolution'):
        build().loss(images(1, sizes=(32, 24)), samples([[0.5, 0.5]] * 8))


def test_largest():
    assert [largest(views_of(*sizes)) for sizes in [(32, ), (32, 24), (24, 32), (16, 48, 24)]] == [0, 0, 1, 1]


@pytest.mark.parametrize('encoder', ['momentum', 'query'])
@pytest.mark.parametrize('layer', ['embedding', 'pooled'])
def test_embed(encoder, layer):
    model = separated().eval()
    x = images(1, dtype=torch.float64)[0]
    backbone, neck = model.encoder(encoder)
    features = backbone(x)
    expected = neck(features)[0] if layer == 'embedding' else features[-1].mean(dim=(2, 3))
    expected = expected / expected.norm(dim=1, keepdim=True)

    found = model.embed(x, encoder, layer)
    assert found.dtype == torch.float32 and not found.requires_grad
    assert found.shape == (8, dict(embedding=16, pooled=64)[layer])
    torch.testing.assert_close(found, expected.detach().float(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(8), rtol=1e-6, atol=1e-6)


def test_the_options_of_embed_matter_and_have_their_defaults():
    model = separated().eval()
    x = images(1, dtype=torch.float64)[0]
    found = {encoder: model.embed(x, encoder) for encoder in ('momentum', 'query')}
    assert (found['momentum'] - found['query']).abs().max() > 0.01
    torch.testing.assert_close(model.embed(x), model.embed(x, 'momentum', 'embedding'), rtol=0, atol=0)


def test_embed_in_eval_mode_repeats_itself_and_takes_each_image_alone():
    model = separated().eval()
    before = copy.deepcopy(model.state_dict())
    x = images(1, dtype=torch.float64)[0]
    first = model.embed(x)
    torch.testing.assert_close(model.embed(x), first, rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([model.embed(x[i:i + 1]) for i in range(8)]), first, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(model.embed(x.flip(0)).flip(0), first, rtol=1e-6, atol=1e-7)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_embed_under_autocast_is_normalized_float32():
    model, x = build().eval(), images(1)[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = model.embed(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(8), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, model.embed(x), rtol=0, atol=0.05)


def test_pairs_of_resolutions_can_be_summed():
    model = build()
    inputs, lam = images(3, sizes=(32, 16)), [[0.7, 0.6]] * 8
    mean = copy.deepcopy(model).loss(inputs, samples(lam))['loss']
    model.sum_pairs = True
    torch.testing.assert_close(model.loss(inputs, samples(lam))['loss'], 4 * mean)
    assert build(sum_pairs=True).sum_pairs
