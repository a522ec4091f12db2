"""Which images a network labels for self-training, by numbers worked out by hand."""

import numpy as np
import pytest
import torch

from clim_mm.evaluation.pseudo_labels import confident, entropy_bits


def test_entropies_in_bits():
    logits = torch.log(torch.tensor([[1.0, 1, 1, 1], [2, 1, 1, 1e-30], [1, 1e-30, 1e-30, 1e-30]]))
    torch.testing.assert_close(entropy_bits(logits), torch.tensor([2.0, 1.5, 0.0]))
    assert entropy_bits(1e4 * torch.eye(2)).tolist() == [0, 0], 'without NaN where a probability is 0'


@pytest.mark.parametrize('max_entropy, most_per_class, kept', [
    (0.5, None, [0, 1, 4, 5]), (0.5, 1, [1, 5]), (0.5, 2, [0, 1, 4, 5]), (0.05, None, []), (0.05, 1, []),
    (9.0, 2, [0, 1, 4, 5])])
def test_the_surest_are_kept(max_entropy, most_per_class, kept):
    entropies = np.array([0.5, 0.1, np.nan, 0.7, 0.3, 0.2], dtype=np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert confident(entropies, labels, max_entropy, most_per_class).tolist() == kept
