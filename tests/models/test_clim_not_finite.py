"""A loss that is not finite ends the step before anything enters the queue."""

import pytest
import torch
from tiny_clim import build, images, named, samples

from clim_mm.errors import TrainingError

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def assert_refused(model, views, lam=((0.4, ), ) * 8):
    """The step is refused with a sentence; the queue stays as it was."""
    before = {name: value.clone() for name, value in model.state_dict().items() if name.startswith('queue')}
    assert set(before) == {'queue.keys', 'queue.ids', 'queue.pointer'} and before['queue.pointer'] == 8
    complaint = 'The loss is not finite: .* neither the queue nor a checkpoint. Start from'
    with pytest.raises(TrainingError, match=complaint) as error:
        model.loss(named(views), samples(lam, ids=range(40, 48), positives=[1] * 8))
    model.advance()  # nothing of it is waiting either
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)
    assert len(str(error.value).splitlines()) == 1


def trained(**kwargs):
    """A model with the keys of one step in its queue."""
    model = build(**kwargs)
    model.loss(named(images(3)), samples([[0.4]] * 8, ids=range(8), positives=[1] * 8))
    return model


@pytest.mark.parametrize('view', [0, 1, 2], ids=['query', 'anchor key', 'positive key'])
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('lam', [0.0, 0.4, 1.0])
def test_one_broken_pixel(view, value, lam):
    views = images(3, seed=1)
    views[view][3, 1, 20, 20] = value
    assert_refused(trained(norm='GN'), views, [[lam]] * 8)


def test_a_broken_image_of_a_smaller_resolution():
    views = images(3, sizes=(32, 24), seed=1)
    views[3][6, 0, 0, 0] = float('nan')
    assert_refused(trained(norm='GN'), views, [[0.5, 0.5]] * 8)


def test_broken_weights():
    model = trained()
    with torch.no_grad():
        model.neck.mlp[2].bias[0] = float('inf')
    assert_refused(model, images(3, seed=1))


def test_a_broken_weight_of_the_mixture():
    assert_refused(trained(), images(3, seed=1), [[float('nan')]] + [[0.5]] * 7)
