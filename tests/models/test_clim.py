"""CLIM against MMSelfSup's MoCo, and against the loss computed term by term."""

import copy

import pytest
import torch
from mmselfsup.models.algorithms import MoCo
from tiny_clim import MOCO_HEAD, build, images, named, nce, samples, separated

from clim_mm.errors import ConfigError

pytestmark = pytest.mark.usefixtures('one_torch_thread')


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
        loss = clim.loss(named(views), samples([[1.0]] * 8))['loss']
        torch.testing.assert_close(loss, expected, rtol=0, atol=tolerance)
        losses.append(loss.item())
        torch.testing.assert_close(clim.queue.keys, moco.queue, rtol=0, atol=tolerance)
        assert clim.queue.pointer.tolist() == moco.queue_ptr.tolist() == [8 * (step + 1) % 24]

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


@pytest.mark.parametrize('sizes', [(32, ), (32, 24), (24, 32, 16)])
def test_the_loss_is_the_mean_over_ordered_pairs_of_resolutions(sizes):
    model = separated()
    views = images(3, sizes=sizes, dtype=torch.float64)
    lam = torch.rand(8, len(sizes), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    queue = model.queue.keys.clone()
    loss = model.loss(named(views), samples(lam.tolist()))['loss']

    # Batch normalisation by the batch's own statistics: the same again, in whatever order.
    def encode(name, x):
        return model.encoder(name)(x)['last']

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
    queue = model.queue.keys.clone()
    loss = model.loss(named(views), samples([None] * 8))['loss']
    queries, anchors = ([model.encoder(name)(x)['last'] for x in part]
                        for name, part in (('query', views[:2]), ('momentum', views[2:])))
    expected = torch.stack([nce(q, k, queue) for q in queries for k in anchors]).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('queries, lam', [
    ((32, 12, 12), None),  # multi-crop: a large query and two small ones, keys at the large size
    ((32, 32), [None, 1.0]),  # an unmixed term beside the mixed one
    ((24, 16, 24, 16), [None, None, 1.0, 1.0]),
])
@pytest.mark.parametrize('resolutions', [(32, ), (32, 24)])
def test_the_loss_is_the_mean_over_pairs_of_queries_and_keys(queries, lam, resolutions):
    model = separated()
    views = [x for sizes, num_views in [(queries, 1), (resolutions, 2)]
             for x in images(num_views, sizes=sizes, seed=len(sizes), dtype=torch.float64)]
    drawn = torch.rand(8, len(queries), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    shares = [[mine if fixed is None else fixed for mine, fixed in zip(row, lam or [None] * len(queries), strict=True)]
              for row in drawn.tolist()]
    queue = model.queue.keys.clone()
    loss = model.loss(named(views, len(queries)), samples(shares))['loss']

    def encode(name, x):
        return model.encoder(name)(x)['last']

    num_queries, num = len(queries), len(resolutions)
    q = [encode('query', x) for x in views[:num_queries]]
    keys = [encode('momentum', x) for x in views[num_queries:]]
    total = 0
    for i in range(8):
        for j in range(num_queries):
            for r in range(num):
                anchor, positive = (nce(q[j][i:i + 1], k[i:i + 1], queue).item() for k in (keys[r], keys[num + r]))
                total += shares[i][j] * anchor + (1 - shares[i][j]) * positive
    assert loss.item() == pytest.approx(total / (8 * num_queries * num), rel=1e-10)

    other = separated(sum_pairs=True).loss(named(views, num_queries), samples(shares))['loss']
    torch.testing.assert_close(other, num_queries * num * loss, rtol=1e-12, atol=0)


def test_figures_are_of_the_largest_query_and_key():
    model = separated()
    views = [*images(1, sizes=(12, 32), dtype=torch.float64), *images(2, sizes=(28, 24), seed=1, dtype=torch.float64)]
    found = model.loss(named(views, 2), samples([[0.9, 0.25]] * 8))
    q = model.encoder('query')(views[1])['last']
    anchor, positive = (model.encoder('momentum')(views[i])['last'] for i in (2, 4))
    expected = (q * (0.25 * anchor + 0.75 * positive)).sum(dim=1).mean()
    torch.testing.assert_close(found['positive_similarity'], expected.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.queue.keys[:, :8], anchor.T, rtol=1e-10, atol=1e-10)


def test_only_the_query_encoder_gets_gradients():
    model = separated()
    model.loss(named(images(3, sizes=(32, 24), dtype=torch.float64)), samples([[0.4, 0.6]] * 8))['loss'].backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.encoder('query').parameters())
    assert all(p.grad is None for p in model.encoder('momentum').parameters())


def test_the_momentum_encoder_moves_once_a_step():
    model = separated()
    before = copy.deepcopy(model.encoder('momentum').state_dict())
    model.loss(named(images(3, sizes=(32, 24), dtype=torch.float64)), samples([[0.4, 0.6]] * 8))
    query = dict(model.encoder('query').named_parameters())
    for name, moved in model.encoder('momentum').named_parameters():
        torch.testing.assert_close(moved, 0.9 * before[name] + 0.1 * query[name], rtol=1e-12, atol=1e-12)


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


def test_autocast_keeps_the_loss_and_the_queue_in_float32():
    exact, rounded = build(), build()
    views = images(3, sizes=(32, 24))
    expected = exact.loss(named(views), samples([[0.4, 0.6]] * 8))['loss']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = rounded.loss(named(views), samples([[0.4, 0.6]] * 8))['loss']
    assert loss.dtype == rounded.queue.keys.dtype == torch.float32
    # The encoders are rounded, the loss is not.
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)
    torch.testing.assert_close(rounded.queue.keys.norm(dim=0), torch.ones(24), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('inputs', [
    images(2), dict(query=images(1)), dict(query=images(1), anchor_key=[], positive_key=[]), {}])
def test_the_loss_refuses_views_of_other_names(inputs):
    with pytest.raises(ConfigError, match='by the names query, anchor_key: let the pipeline'):
        build().loss(inputs, samples([[0.5]] * 8))


def test_pairs_of_resolutions_can_be_summed():
    model = build()
    inputs, lam = images(3, sizes=(32, 16)), [[0.7, 0.6]] * 8
    mean = copy.deepcopy(model).loss(named(inputs), samples(lam))['loss']
    model.sum_pairs = True
    torch.testing.assert_close(model.loss(named(inputs), samples(lam))['loss'], 4 * mean)
    assert build(sum_pairs=True).sum_pairs


def test_two_views_without_names_are_a_query_and_its_key():
    views, data = images(2), samples([[1.0]] * 8)
    losses = []
    for inputs in (views, dict(query=views[:1], anchor_key=views[1:])):
        torch.manual_seed(0)
        losses.append(build()(inputs, data, mode='loss'))
    assert losses[0]['loss'] == losses[1]['loss']
