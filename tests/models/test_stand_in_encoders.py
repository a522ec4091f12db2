"""The benchmark's encoders that compute nothing: all the rest of a step is done."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from tiny_clim import images, named, samples, separated

pytestmark = pytest.mark.usefixtures('one_torch_thread')


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / 'tools' / 'benchmarks')
    from stand_ins import stand_in
    return stand_in


def test_a_step_with_stand_ins(stand_in):
    model = separated()  # in float64, and the momentum encoder another than the query encoder
    features = torch.randn(2, 8, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    for name, given in zip(('query', 'momentum'), features, strict=True):
        stand_in(*model.encoder(name), features=given)
    query, keys = ({name: value.clone() for name, value in model.encoder(which).state_dict().items()}
                   for which in ('query', 'momentum'))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    data = dict(inputs=named(images(3, sizes=(32, 24), dtype=torch.float64)), data_samples=samples([[1.0, 1.0]] * 8))
    losses = model.train_step(data, optim_wrapper=OptimWrapper(optimizer))

    for name, value in model.encoder('query').named_parameters():
        torch.testing.assert_close(value, query[name] - 2e-6, rtol=0, atol=1e-12)  # of two queries
    for name, value in model.encoder('momentum').named_parameters():
        torch.testing.assert_close(value, 0.9 * keys[name] + 0.1 * query[name], rtol=1e-12, atol=1e-12)
    for name, value in model.encoder('query').named_buffers():
        assert torch.equal(value, query[name]), f'{name}: no batch has been normalised'
    entered = F.normalize(features[1], dim=1)[:, None].eq(model.queue.keys.T[:8]).all(dim=2)
    assert entered.sum() == 8 and model.queue.pointer == 8, 'the keys are in the queue, in the order of the shuffle'
    assert torch.isfinite(losses['loss'])
