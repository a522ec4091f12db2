"""The check that two networks give the same features."""

import copy
import math

import pytest
import torch
from written_checkpoints import features_of, images, random_resnet

from clim_mm.errors import CheckpointError, sentence
from clim_mm.export.formats import Features
from clim_mm.export.parity import MOST, Library, check_parity

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def library(network, calls=None):
    """One that takes any file, and notes the images it is given."""

    def load(path, depth):
        def watched(x):
            calls.append((path, depth, x))
            return network(x)
        return network if calls is None else watched

    return Library('a library', load)


def test_the_pooled_features_are_the_mean_over_the_places(resnet18):
    last, pooled = Features(resnet18)(images())
    assert last.shape == (2, 512, 3, 3)
    torch.testing.assert_close(pooled[1, 7], last[1, 7].sum() / 9)


def test_the_same_network_passes_on_the_same_images_each_time(resnet18):
    calls = []
    for _ in range(2):
        assert check_parity(resnet18, library(Features(resnet18), calls), 'x.pth', 18) == 0
    (path, depth, first), (_, _, second) = calls
    assert (path, depth) == ('x.pth', 18) and torch.equal(first, second)
    assert first.shape == (2, 3, 224, 224) and 0.9 < first.std() < 1.1


@pytest.mark.parametrize('change, passes', [(0, True), (MOST / 4, True), (1e-3, False), (math.nan, False)])
def test_a_network_that_differs_by_one_statistic(resnet18, change, passes):
    other = copy.deepcopy(resnet18)
    other.layer4[1].bn2.bias.data[3] += change
    if passes:
        assert check_parity(resnet18, library(Features(other)), 'x.pth', 18) <= MOST == 1e-5
    else:
        with pytest.raises(CheckpointError) as raised:
            check_parity(resnet18, library(Features(other)), 'x.pth', 18)
        assert sentence(raised.value).startswith('The features of a library with the exported weights differ from the')
        assert 'so nothing is written' in sentence(raised.value)


def test_the_networks_of_these_tests_tell_every_part_apart():
    # Were a shortcut, a statistic or a stage without effect, the comparisons of the other tests would prove little.
    original = random_resnet(18)
    own, _ = features_of(original, images(1, 32))
    for name, value in original.state_dict().items():
        if 'num_batches' not in name:
            before = value.clone()
            value.mul_(1.2)
            assert (features_of(original, images(1, 32))[0] - own).abs().max() > 1e-5, name
            value.copy_(before)
