"""Names and shapes, compared."""

import hashlib
import math

import numpy as np
import pytest
import torch

from clim_mm.checkpoints.weights import check_read, check_start, compare, not_finite, weights_of, weights_sha256
from clim_mm.errors import ConfigError


def tensors(**shapes):
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def test_the_same_weights():
    fit = compare(tensors(a=(2, 3), b=()), tensors(a=(2, 3), b=()))
    assert fit.exact and fit.matched == ('a', 'b') and fit.differences() == ''


def test_every_difference_is_found():
    fit = compare(tensors(a=(2, 3), b=(4, ), d=(1, )), tensors(a=(2, 3), b=(5, ), c=(1, ), e=()))
    assert fit.matched == ('a', ) and fit.missing == ('c', 'e') and fit.unexpected == ('d', )
    assert fit.reshaped == ('b (4,) instead of (5,)', ) and not fit.exact
    assert fit.differences() == ('2 missing: c, e; 1 unknown to the model: d; '
                                 '1 of another shape: b (4,) instead of (5,)')


def test_only_some_names_are_quoted():
    fit = compare({}, tensors(a=(), b=(), c=(), d=()))
    assert fit.differences() == '4 missing: a, b, c, ...' and fit.differences(most=1) == '4 missing: a, ...'


def test_extra_states_are_not_compared_by_shape():
    assert compare(dict(a=dict(x=1)), dict(a='state')).exact
    assert compare(dict(a=dict(x=1)), tensors(a=(2, ))).reshaped == ('a () instead of (2,)', )


def test_weights_of_a_checkpoint():
    weights = tensors(a=(1, ))
    assert weights_of(dict(state_dict=weights, meta={})) == weights_of(weights) == weights
    assert list(weights_of(dict(state_dict={'module.a.module.b': 1, 3: 2}))) == ['a.module.b', '3']
    with pytest.raises(ConfigError, match='state_dict is not a dictionary of weights'):
        weights_of(dict(state_dict=[1]))


def test_what_a_model_can_start_from():
    own = tensors(a=(2, ), b=(3, ))
    check_start(compare(tensors(a=(2, ), c=(4, )), own), 'checkpoint x.pth')
    with pytest.raises(ConfigError, match='The weights of the checkpoint x.pth do not fit the model .2 missing: a, b; '
                       '1 unknown to the model: c.: give weights of the same architecture'):
        check_start(compare(tensors(c=(4, )), own), 'checkpoint x.pth')
    with pytest.raises(ConfigError, match=r'1 of another shape: b \(4,\) instead of \(3,\)'):
        check_start(compare(tensors(a=(2, ), b=(4, )), own), 'checkpoint x.pth')


def test_a_module_starts_from_all_of_its_weights_or_none():
    def tree(*names):
        return {name: torch.zeros(1) for name in names}

    own = tree('backbone.a', 'backbone.b.weight', 'backbone.b.num_batches_tracked', 'neck.a')
    check_start(compare(tree('backbone.a', 'backbone.b.weight'), own), 'checkpoint x.pth')
    with pytest.raises(ConfigError, match='do not fit the model .3 missing: backbone.b.weight, '):
        check_start(compare(tree('backbone.a'), own), 'checkpoint x.pth')
    with pytest.raises(ConfigError, match='do not fit the model .3 missing: backbone.a, '):
        check_start(compare(tree('neck.a'), own), 'checkpoint x.pth')  # the backbone would stay at random
    own = tree('neck.a', 'neck.b')
    with pytest.raises(ConfigError, match='do not fit the model .1 missing: neck.b'):
        check_start(compare(tree('neck.a'), own), 'checkpoint x.pth')


def test_what_is_read_must_be_whole():
    own = tensors(**{'a.x': (2, ), 'a.y': (3, ), 'b.x': (1, ), 'a.n.num_batches_tracked': ()})
    saved = tensors(**{'a.x': (2, ), 'a.y': (3, ), 'c': (1, )})
    assert check_read(compare(saved, own), ['a'], 'x.pth') == dict(a=2)
    with pytest.raises(ConfigError, match='x.pth does not have all weights of the b, .*1 missing: b.x'):
        check_read(compare(saved, own), ['a', 'b'], 'x.pth')
    saved['a.y'] = saved['a.x']
    with pytest.raises(ConfigError, match='1 of another shape: a.y .2,. instead of .3,'):
        check_read(compare(saved, own), ['a'], 'x.pth')
    with pytest.raises(ConfigError, match='weights of the d, .* or more .it has c'):
        check_read(compare(saved, own), ['d'], 'x.pth')


def test_tensors_that_are_not_finite():
    values = dict(a=torch.tensor([1.0, math.inf]), b=torch.zeros(2), c=dict(d=torch.tensor(math.nan)), e='text',
                  f=torch.ones(1, dtype=torch.int64), g=torch.tensor([math.nan], dtype=torch.bfloat16))
    assert not_finite('weights', values) == ['3 tensors of its weights hold NaN or infinity: a, c.d, g']
    assert not_finite('weights', dict(b=values['b'])) == []


def test_the_hash_of_weights_by_hand():
    tensors = dict(b=torch.tensor([[1., -2.]]), a=torch.tensor(3))
    lines = b'a int64 ()\n' + np.array(3, '<i8').tobytes() + b'b float32 (1, 2)\n' + np.array([1, -2], '<f4').tobytes()
    assert weights_sha256(tensors) == hashlib.sha256(lines).hexdigest()
    assert weights_sha256(dict(reversed(tensors.items()))) == weights_sha256(tensors)
    assert weights_sha256(dict(tensors, a=torch.tensor(4))) != weights_sha256(tensors)
    strided = torch.tensor([[1., 9.], [-2., 9.]]).t()[:1]
    assert not strided.is_contiguous()
    assert weights_sha256(dict(tensors, b=strided)) == weights_sha256(tensors)


def test_every_change_is_seen():
    weights = dict(b=torch.tensor([[1.0, 2.0]]), a=torch.tensor(3))
    changed = [dict(weights, a=torch.tensor(4)), dict(weights, b=torch.tensor([[1.0], [2.0]])),
               dict(weights, b=weights['b'].double()), dict(c=weights['b'], a=weights['a'])]
    assert len({weights_sha256(other) for other in [weights, *changed]}) == 5
    assert weights_sha256(dict(b=torch.tensor([[1.0, 9.0, 2.0]])[:, ::2], a=torch.tensor(3))) == weights_sha256(weights)
