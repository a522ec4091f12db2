"""What CutMix and MixUp have in common: draws of a batch, the unmixed term, and what they refuse."""

import numpy as np
import pytest

from clim_mm.datasets import CutMix, MixUp
from clim_mm.errors import ConfigError

BOTH = pytest.mark.parametrize('mixing', [CutMix, MixUp])


def pair(seed, batch_seed=0, positive_idx=5, sizes=(32, 24)):
    return dict(
        views=dict(query=[np.zeros((r, r, 3), np.uint8) for r in sizes],
                   positive_query=[np.full((r, r, 3), 200, np.uint8) for r in sizes]),
        positive_idx=positive_idx,
        lam=[0.0 if positive_idx >= 0 else 1.0] * len(sizes),
        rng=np.random.default_rng(seed),
        batch_rng=np.random.default_rng(batch_seed))


@BOTH
@pytest.mark.parametrize('options', [dict(), dict(same_place=False)])
def test_the_samples_of_a_batch_share_their_draws(mixing, options):
    if mixing is MixUp and options:
        options = dict(alpha=3.0)
    shared = mixing(per_batch=True, **options)
    one, other, elsewhere = shared(pair(seed=1)), shared(pair(seed=2)), shared(pair(seed=1, batch_seed=1))
    assert one['lam'] == other['lam'] != elsewhere['lam']
    queries = (results['views']['query'] for results in (one, other, elsewhere))
    for image, same, another in zip(*queries, strict=True):
        np.testing.assert_array_equal(image, same)
        assert (image != another).any()
    by_itself = mixing(**options)(pair(seed=0))  # whose own generator is here what the batch's was
    assert by_itself['lam'] == one['lam']
    apart = [mixing(**options)(pair(seed=seed))['lam'] for seed in (1, 2)]
    assert apart[0] != apart[1]


@BOTH
def test_the_unmixed_views_follow_with_lam_1(mixing):
    plain, results = mixing()(pair(seed=3)), mixing(unmixed_term=True)(pair(seed=3))
    assert [image.shape[0] for image in results['views']['query']] == [32, 24, 32, 24]
    assert results['lam'] == plain['lam'] + [1.0, 1.0]
    for image, mixed in zip(results['views']['query'][:2], plain['views']['query'], strict=True):
        np.testing.assert_array_equal(image, mixed)
        assert image.any()
    assert not any(image.any() for image in results['views']['query'][2:])


@BOTH
def test_without_a_positive_there_are_as_many_queries(mixing):
    results = mixing(unmixed_term=True)(pair(seed=0, positive_idx=-1))
    query = results['views']['query']
    assert [image.shape[0] for image in query] == [32, 24, 32, 24] and results['lam'] == [1.0] * 4
    assert not any(image.any() for image in query)
    assert not any(np.shares_memory(a, b) for a, b in zip(query[:2], query[2:], strict=True))


@BOTH
@pytest.mark.parametrize('name', ['per_batch', 'unmixed_term'])
@pytest.mark.parametrize('value', ['no', 1, None])
def test_words_are_no_switches(mixing, name, value):
    with pytest.raises(ConfigError, match=f'{name} of {mixing.__name__} must be True or False, not {value!r}'):
        mixing(**{name: value})
