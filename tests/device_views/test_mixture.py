"""Mixing on the device is what the workers do."""

import numpy as np
import pytest
import torch

from clim_mm.datasets import CutMix, MixUp
from clim_mm.device_views import Mixture
from clim_mm.device_views.mixture import mixed


def as_batch(images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()


def test_by_hand():
    images, others = torch.zeros(3, 1, 2, 3), torch.arange(18.0).view(3, 1, 2, 3)
    mixtures = [
        Mixture(box=(0, 1, 2, 3), corner=(0, 0)),  # both rows, columns 1 and 2, from columns 0 and 1
        Mixture(),
        Mixture(box=(0, 0, 2, 3), share=0.75),
    ]
    found = mixed(images, others, torch.from_numpy(np.stack([mixture.as_row() for mixture in mixtures])))
    assert found[:, 0].tolist() == [[[0, 0, 1], [0, 3, 4]], [[0, 0, 0], [0, 0, 0]], [[3, 3.25, 3.5], [3.75, 4, 4.25]]]


@pytest.mark.parametrize('mixing, most', [(CutMix(), 0), (CutMix(same_place=False), 0), (MixUp(alpha=1.0), 0.5001)])
def test_as_in_a_worker(mixing, most):
    rng = np.random.default_rng(1)
    images, others = rng.integers(0, 256, (2, 20, 16, 16, 3)).astype(np.uint8)
    mixtures = [mixing.draw([(16, 16)], np.random.default_rng(seed))[0] for seed in range(len(images))]
    expected = [mixing.mix(image.copy(), other, mixture)
                for image, other, mixture in zip(images, others, mixtures, strict=True)]
    rows = torch.from_numpy(np.stack([mixture.as_row() for mixture in mixtures]))
    found = mixed(as_batch(images), as_batch(others), rows)
    torch.testing.assert_close(found, as_batch(expected), atol=most, rtol=0)
    assert 0.2 < (found != as_batch(images)).float().mean() < 1
