"""What a setting may be, and the sentence about what it is not."""

import math

import numpy as np
import pytest

from clim_mm import checks
from clim_mm.errors import ConfigError

NAN, INF = math.nan, math.inf


def refusal(check, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        check('size of Part', *args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize('value, options', [
    (0, {}), (7, {}), (np.int64(3), {}), (1, dict(least=1)), (4, dict(most=4)), (-2, dict(least=-2)),
    (None, dict(optional=True)), (10**30, {})])
def test_whole_numbers(value, options):
    checks.check_whole('size', value, **options)


@pytest.mark.parametrize('value', [-1, 2.0, 2.5, NAN, INF, True, '3', None, [3], {}])
def test_no_whole_numbers(value):
    assert refusal(checks.check_whole, value) == f'size of Part must be a whole number of at least 0, not {value!r}.'


def test_bounds_of_whole_numbers():
    assert refusal(checks.check_whole, 0, 1, optional=True).endswith('of at least 1 or None, not 0.')
    assert refusal(checks.check_whole, 5, 1, 4).endswith('a whole number from 1 to 4, not 5.')


@pytest.mark.parametrize('value, options', [
    (0.5, {}), (3, {}), (-1e300, {}), (np.float32(0.1), dict(above=0)), (0, dict(least=0)), (1.0, dict(most=1)),
    (0.999, dict(below=1)), (None, dict(optional=True))])
def test_numbers(value, options):
    checks.check_number('size', value, **options)


@pytest.mark.parametrize('value, options, words', [
    (0, dict(above=0), 'a number above 0, not 0.'), (-0.1, dict(least=0), 'a number of at least 0, not -0.1.'),
    (1, dict(least=0, below=1), 'a number of at least 0 and below 1, not 1.'),
    (1.1, dict(above=0, most=1), 'a number above 0 and of at most 1, not 1.1.'),
    (NAN, dict(above=0), 'not nan.'), (INF, dict(above=0), 'not inf.'), (True, dict(above=0), 'not True.'),
    (NAN, {}, 'must be a finite number, not nan.'), ('0.5', dict(above=0), 'not \'0.5\'.'),
    ([0.5], dict(above=0), 'not [0.5].'),
    (None, dict(above=0), 'a number above 0, not None.'), (0, dict(above=0, optional=True), 'above 0 or None, not 0.')])
def test_no_numbers(value, options, words):
    assert refusal(checks.check_number, value, **options).endswith(words)


def test_switches():
    checks.check_bool('switch', True)
    checks.check_bool('switch', False)
    checks.check_bool('switch', None, optional=True)
    for value in ('no', 0, 1, None, []):
        assert refusal(checks.check_bool, value) == f'size of Part must be True or False, not {value!r}.'


def test_choices():
    checks.check_choice('layer', 'pooled', ('embedding', 'pooled'))
    assert refusal(checks.check_choice, 'poled', ('embedding', 'pooled')) == (
        'size of Part must be one of embedding, pooled, not \'poled\' (did you mean \'pooled\'?).')
    for value in ('', None, 3, ['pooled']):
        assert refusal(checks.check_choice, value, ('embedding', 'pooled')).endswith(f'not {value!r}.')


@pytest.mark.parametrize('value', [(0.2, 1.0), [1, 1], (1e-9, 0.5)])
def test_ranges(value):
    checks.check_range('scale', value, above=0, most=1)


@pytest.mark.parametrize('value', [
    (0, 1), (0.5, 0.2), (0.5, 1.1), (0.5, ), (0.1, 0.2, 0.3), 0.5, 'ab', None, (NAN, 1), (0.5, NAN), ('0', '1'),
    (True, True)])
def test_no_ranges(value):
    assert refusal(checks.check_range, value, above=0, most=1) == (
        f'size of Part must be two numbers above 0 and at most 1, the smaller one first, not {value!r}.')


def test_a_range_without_an_end_is_none():
    assert 'two numbers above 0, the smaller one first' in refusal(checks.check_range, (1.0, INF), above=0)


def test_lists():
    checks.check_list('pipeline', [1])
    checks.check_list('pipeline', (1, 2))
    for value in ([], (), 'abc', None, {'type': 'LoadImage'}, 3):
        assert 'a list that is not empty' in refusal(checks.check_list, value)


def test_keys():
    checks.check_keys('part', dict(a=1), required=['a'], allowed=['batch_size'])
    checks.check_keys('part', dict(a=1, batch_size=2), required=['a'], allowed=['batch_size'])
    assert refusal(checks.check_keys, [], ['a']) == 'size of Part must be a dict, not [].'
    assert refusal(checks.check_keys, {}, ['a']) == 'size of Part lacks \'a\': set it.'
    assert refusal(checks.check_keys, dict(a=1, batchsize=2), ['a'], ['batch_size']) == (
        'size of Part has no setting \'batchsize\' (did you mean \'batch_size\'?): it knows a, batch_size.')
    assert refusal(checks.check_keys, {'a': 1, 3: 2}, ['a']) == 'size of Part has no setting 3: it knows a.'
