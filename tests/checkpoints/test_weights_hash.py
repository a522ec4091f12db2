"""The hash of weights, by hand."""

import hashlib

import numpy as np
import torch

from clim_mm.checkpoints.weights_hash import weights_sha256


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
