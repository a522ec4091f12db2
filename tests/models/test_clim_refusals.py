"""Settings that CLIM does not take."""

import math

import pytest
from tiny_clim import CLIM_HEAD, build

from clim_mm.errors import ConfigError


@pytest.mark.parametrize('options, words', [
    (dict(queue_len=0), 'model.queue_len must be a whole number of at least 1 or None, not 0'),
    (dict(queue_len='24'), 'model.queue_len .* not \'24\''),
    (dict(bn_splits=0), 'model.bn_splits .* at least 1 or None, not 0'),
    (dict(bn_splits=2.0), 'model.bn_splits .* not 2.0'),
    (dict(mask_own_keys='no'), 'model.mask_own_keys must be True or False or None, not \'no\''),
    (dict(sum_pairs=1), 'model.sum_pairs must be True or False, not 1'),
    (dict(enqueue_positives='yes'), 'model.enqueue_positives must be True or False, not \'yes\''),
    (dict(head=dict(CLIM_HEAD, temperature=math.inf)), 'temperature of MixedContrastiveHead .* above 0, not inf'),
])
def test_options_out_of_range(options, words):
    with pytest.raises(ConfigError, match=words):
        build(**options)
