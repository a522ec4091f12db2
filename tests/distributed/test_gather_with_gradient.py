"""Rows of several processes, and the gradient that comes back to each."""

import pytest
import torch
from gloo import on_processes

from clim_mm.distributed.gather_with_gradient import gather_with_gradient


def gathered():
    """What a process gets, and the gradient of its own rows: of the sum of all rows' squares."""
    rank = torch.distributed.get_rank()
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]]) + 10 * rank
    rows.requires_grad_()
    found = gather_with_gradient(rows)
    (found**2).sum().backward()
    return found.tolist(), rows.grad.tolist(), rows.tolist()


def test_one_process_keeps_its_rows():
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(rows) is rows


@pytest.mark.e2e
def test_every_process_gets_all_rows_and_the_sum_of_the_gradients():
    for found, gradient, rows in on_processes(2, gathered):
        assert found == [[1, 2], [3, 4], [11, 12], [13, 14]]
        assert gradient == [[2 * 2 * value for value in row] for row in rows], 'twice, as both have the same loss'
