"""The loss of several weighted keys, against values by hand and CLIM's head."""

import math

import pytest
import torch

from clim_mm.errors import ConfigError
from clim_mm.models import MixedContrastiveHead, MultiPositiveHead


def of_logits(positives, num_negatives, **options):
    """The loss of one query with these logits at temperature 0.2, and as many negatives of logit 0."""
    q = torch.zeros(1, 8, dtype=torch.float64)
    q[0, 0] = 1
    keys = [torch.zeros_like(q) for _ in positives]
    for key, logit in zip(keys, positives, strict=True):
        key[0, 0] = 0.2 * logit
    queue = torch.zeros(8, num_negatives, dtype=torch.float64)
    queue[1] = 1
    weights = torch.full((len(positives), 1), 1 / len(positives), dtype=torch.float64)
    return MultiPositiveHead(0.2, **options)(q, keys, weights, queue).item()


@pytest.mark.parametrize('num_negatives, expected', [(4, 0.0265950), (65536, 6.0926169)])
def test_one_positive_is_nce(num_negatives, expected):
    assert of_logits([5.0], num_negatives) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize('denominator, expected', [('own', 0.1552625), ('all', 1.3534919)])
def test_two_positives_by_hand(denominator, expected):
    assert of_logits([5.0, 2.5], 4, denominator=denominator) == pytest.approx(expected, abs=1e-7)


def test_a_key_without_weight_stands_in_no_denominator():
    q, key, other = torch.eye(3)[:1], torch.eye(3)[:1], torch.eye(3)[1:2]
    weights, queue = torch.tensor([[1.0], [0.0]]), torch.eye(3)[:, 2:]
    both = MultiPositiveHead(0.2, denominator='all')(q, [key, other], weights, queue)
    torch.testing.assert_close(both, torch.tensor(math.log(1 + math.exp(-5))))


def test_two_weighted_keys_are_the_mixed_head():
    generator = torch.Generator().manual_seed(0)
    q, anchor, positive = (torch.nn.functional.normalize(torch.randn(6, 8, generator=generator)) for _ in range(3))
    queue, lam = torch.nn.functional.normalize(torch.randn(8, 20, generator=generator), dim=0), torch.rand(6)
    own = torch.rand(6, 20) < 0.2
    mixed = MixedContrastiveHead()(q, [anchor], [positive], queue, lam, own)
    multi = MultiPositiveHead()(q, [anchor, positive], torch.stack([lam, 1 - lam]), queue, own)
    torch.testing.assert_close(multi, mixed, rtol=1e-6, atol=0)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match='denominator of MultiPositiveHead must be one of own, all'):
        MultiPositiveHead(denominator='some')
    with pytest.raises(ConfigError, match='temperature of MultiPositiveHead'):
        MultiPositiveHead(0.0)
