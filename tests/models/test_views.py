"""Which view is for what."""

import pytest
import torch

from clim_mm.errors import ConfigError
from clim_mm.models.views import largest, split_views


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


@pytest.mark.parametrize('queries', [(32, ), (32, 12, 12), (12, 32, 32, 12), (12, ), (32, 24, 32, 24)])
@pytest.mark.parametrize('resolutions', [(32, ), (32, 24), (24, 12, 32)])
@pytest.mark.parametrize('parts', [1, 2])
def test_a_number_of_queries_can_be_told(queries, resolutions, parts):
    views = views_of(*queries, *resolutions * parts)
    start, num = len(queries), len(resolutions)
    expected = [views[:start], views[start:start + num], views[start + num:]]
    for part, wanted in zip(split_views(views, num_queries=start), expected, strict=True):
        assert [id(x) for x in part] == [id(x) for x in wanted]


@pytest.mark.parametrize('keys', [(), (32, 32, 32), (32, 24, 24), (32, 24, 24, 32), (32, 24) * 3, (32, 32, 24, 24)])
def test_keys_of_another_form_are_an_error(keys):
    with pytest.raises(ConfigError, match='at each resolution'):
        split_views(views_of(32, 12, *keys), num_queries=2)


def test_largest():
    assert [largest(views_of(*sizes)) for sizes in [(32, ), (32, 24), (24, 32), (16, 48, 24)]] == [0, 0, 1, 1]
