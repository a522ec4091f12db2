"""The mixed contrastive loss against cross entropy over concatenated logits."""

import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from clim_mm.errors import ConfigError
from clim_mm.models import MixedContrastiveHead

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def unit(*shape, generator, dim=1):
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=dim)


def batch(num_samples, queue_len, num_resolutions, channels=16, seed=0):
    """Queries, anchor keys, positive keys and the queue, in float64."""
    generator = torch.Generator().manual_seed(seed)
    q = unit(num_samples, channels, generator=generator)
    anchor_keys, positive_keys = ([unit(num_samples, channels, generator=generator) for _ in range(num_resolutions)]
                                  for _ in range(2))
    return q, anchor_keys, positive_keys, unit(channels, queue_len, generator=generator, dim=0)


def nce(q, key, queue, temperature):
    """Equation 1 for each query: the cross entropy of the positive, the first of all logits."""
    logits = torch.cat([(q * key).sum(dim=1, keepdim=True), q @ queue], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long), reduction='none')


def reference(q, anchor_keys, positive_keys, queue, lam, temperature):
    """Equation 4, term by term, averaged over the keys' resolutions and the batch."""
    terms = [lam * nce(q, a, queue, temperature) + (1 - lam) * nce(q, p, queue, temperature)
             for a, p in zip(anchor_keys, positive_keys, strict=True)]
    return sum(terms).mean() / len(terms)


@pytest.mark.parametrize('temperature', [0.05, 0.2, 1.0, 3.0])
def test_equals_cross_entropy(temperature):
    head = MixedContrastiveHead(temperature)
    for num_samples, queue_len, num_resolutions in product([1, 2, 7], [1, 16, 300], [1, 2, 3]):
        q, anchor_keys, positive_keys, queue = batch(num_samples, queue_len, num_resolutions)
        lams = [torch.full([num_samples], value, dtype=torch.float64) for value in (0.0, 0.3, 1.0)]
        lams.append(torch.rand(num_samples, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
        for lam in lams:
            loss = head(q, anchor_keys, positive_keys, queue, lam)
            assert loss.dtype == torch.float64 and loss.shape == ()
            expected = reference(q, anchor_keys, positive_keys, queue, lam, temperature)
            # torch's softplus drops e^-x above x = 20.
            torch.testing.assert_close(loss, expected, rtol=2e-10, atol=1e-12)


@pytest.mark.parametrize('num_resolutions', [1, 2, 3])
def test_without_positives_it_is_plain_nce(num_resolutions):
    q, anchor_keys, _, queue = batch(7, 300, num_resolutions)
    loss = MixedContrastiveHead(0.2)(q, anchor_keys, [], queue, torch.ones(7, dtype=torch.float64))
    expected = sum(nce(q, key, queue, 0.2).mean() for key in anchor_keys) / num_resolutions
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)


def test_by_hand():
    # q = k_anchor is orthogonal to the positive and to the only negative; tau = 1.
    q = torch.tensor([[1.0, 0.0]])
    orthogonal = torch.tensor([[0.0, 1.0]])
    loss = MixedContrastiveHead(1.0)(q, [q], [orthogonal], orthogonal.T, torch.tensor([0.25]))
    nce_anchor = math.log(1 + math.exp(-1))  # -log(e / (e + 1)) = 0.3133
    nce_positive = math.log(2)  # -log(1 / (1 + 1)) = 0.6931
    assert loss.item() == pytest.approx(0.25 * nce_anchor + 0.75 * nce_positive, abs=1e-6)
    assert loss.item() == pytest.approx(0.598176, abs=1e-6)


def test_default_temperature_is_that_of_moco():
    assert MixedContrastiveHead().temperature == 0.2


def as_dtype(parts, dtype):
    return [[x.to(dtype) for x in part] if isinstance(part, list) else part.to(dtype) for part in parts]


def test_float32_is_near_float64_also_at_a_low_temperature():
    parts = batch(16, 4096, 2)
    lam = torch.linspace(0, 1, 16)
    for temperature in (0.01, 0.2):
        loss = MixedContrastiveHead(temperature)(*as_dtype(parts, torch.float32), lam)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss.double(), reference(*parts, lam.double(), temperature), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype):
    head, parts, lam = MixedContrastiveHead(0.2), as_dtype(batch(16, 512, 2), dtype), torch.linspace(0, 1, 16)
    expected = head(*as_dtype(parts, torch.float32), lam)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        # What this guards against: here a plain product would be rounded.
        assert (parts[0].float() @ parts[0].float().T).dtype == torch.bfloat16
        loss = head(*parts, lam)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)


def test_gradients_under_autocast_are_those_without():
    q, anchor_keys, positive_keys, queue = as_dtype(batch(8, 64, 2), torch.float32)
    gradients = []
    for enabled in (False, True):
        leaf = q.clone().requires_grad_()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            loss = MixedContrastiveHead()(leaf, anchor_keys, positive_keys, queue, torch.linspace(0, 1, 8))
        loss.backward()
        gradients.append(leaf.grad)
    assert gradients[0].abs().max() > 0.01
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)


@pytest.mark.parametrize('with_positives', [True, False])
def test_gradients(with_positives):
    q, anchor_keys, positive_keys, queue = batch(3, 5, 2, channels=4)
    lam = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    leaves = [x.requires_grad_() for x in (q, *anchor_keys, *positive_keys, queue)]

    def loss(q, anchor_1, anchor_2, positive_1, positive_2, queue):
        positives = [positive_1, positive_2] if with_positives else []
        return MixedContrastiveHead(0.2)(q, [anchor_1, anchor_2], positives, queue, lam)

    assert torch.autograd.gradcheck(loss, leaves)


def own_keys_of(num_samples, queue_len, share, seed=2):
    """(N, K) bool: some keys of the queue, other ones for each query; the first query has none."""
    own = torch.rand(num_samples, queue_len, generator=torch.Generator().manual_seed(seed)) < share
    own[0] = False
    return own


@pytest.mark.parametrize('share', [0.1, 0.9])
def test_own_keys_are_left_out(share):
    q, anchor_keys, positive_keys, queue = batch(7, 40, 2)
    own = own_keys_of(7, 40, share)
    lam = torch.linspace(0, 1, 7, dtype=torch.float64)
    losses, gradients = [], []
    for leaf in (q.clone().requires_grad_(), q.clone().requires_grad_()):
        if not losses:
            loss = MixedContrastiveHead(0.2)(leaf, anchor_keys, positive_keys, queue, lam, own)
        else:  # each query alone, against a queue that its own keys have been taken out of
            loss = sum(
                reference(leaf[i:i + 1], [k[i:i + 1] for k in anchor_keys], [k[i:i + 1] for k in positive_keys],
                          queue[:, ~own[i]], lam[i], 0.2) for i in range(7)) / 7
        losses.append(loss)
        gradients.append(torch.autograd.grad(loss, leaf)[0])
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-12)
    unmasked = MixedContrastiveHead(0.2)(q, anchor_keys, positive_keys, queue, lam)
    assert unmasked - losses[0] > 0.01, 'fewer negatives, a smaller loss'


def test_no_own_keys_change_nothing():
    q, anchor_keys, positive_keys, queue = batch(7, 40, 2)
    lam = torch.linspace(0, 1, 7, dtype=torch.float64)
    loss = MixedContrastiveHead(0.2)(q, anchor_keys, positive_keys, queue, lam, torch.zeros(7, 40, dtype=torch.bool))
    torch.testing.assert_close(
        loss, MixedContrastiveHead(0.2)(q, anchor_keys, positive_keys, queue, lam), rtol=0, atol=0)


def test_a_query_all_of_whose_negatives_are_its_own_has_no_loss():
    q, anchor_keys, positive_keys, queue = batch(3, 5, 1)
    own = torch.tensor([[True] * 5, [False] * 5, [True] * 5])
    leaf = q.requires_grad_()
    lam = torch.full((3, ), 0.3, dtype=torch.float64)
    loss = MixedContrastiveHead(0.2)(leaf, anchor_keys, positive_keys, queue, lam, own)
    expected = reference(q[1:2], [anchor_keys[0][1:2]], [positive_keys[0][1:2]], queue, lam[1], 0.2) / 3
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    loss.backward()
    assert leaf.grad[[0, 2]].abs().max() == 0 and leaf.grad[1].abs().max() > 0.01


def test_own_keys_are_left_out_under_autocast():
    parts, own, lam = as_dtype(batch(8, 64, 1), torch.float32), own_keys_of(8, 64, 0.5), torch.linspace(0, 1, 8)
    expected = MixedContrastiveHead()(*parts, lam, own)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(MixedContrastiveHead()(*parts, lam, own), expected, rtol=0, atol=0)


@pytest.mark.parametrize('temperature', [0, -0.2, float('nan')])
def test_temperature_out_of_range_is_an_error(temperature):
    with pytest.raises(ConfigError, match=f'temperature .* a number above 0, not {temperature}'):
        MixedContrastiveHead(temperature)


class Results(TorchDispatchMode):
    """Notes the operators that run, and the sizes of what they give."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.noted.append((operator.overloadpacket, tuple(result.shape), result.is_contiguous()))
        return result


@pytest.mark.parametrize('num_resolutions', [1, 2, 3])
def test_the_queue_is_multiplied_once_each_way_and_never_copied(num_resolutions):
    q, anchor_keys, positive_keys, queue = as_dtype(batch(7, 300, num_resolutions), torch.float32)
    leaf, lam = q.clone().requires_grad_(), torch.linspace(0, 1, 7)
    with Results() as results:
        MixedContrastiveHead(0.2)(leaf, anchor_keys, positive_keys, queue, lam).backward()
    aten = torch.ops.aten
    assert [shape for operator, shape, _ in results.noted if operator == aten.mm] == [(7, 300), (7, 16)]
    moves = (aten.clone, aten._to_copy, aten.copy_, aten.cat, aten.div)
    assert not [shape for operator, shape, _ in results.noted if operator in moves and 300 in shape]
