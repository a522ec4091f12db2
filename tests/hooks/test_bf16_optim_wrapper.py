"""Mixed precision on the CPU: the loss of float32 within a tolerance, and nothing but the forward pass in bfloat16."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from tiny_clim import build, images, named, samples
from training_runs import runner_of

from clim_mm.bf16_optim_wrapper import Bf16OptimWrapper
from clim_mm.errors import ConfigError
from clim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('one_torch_thread')


ROOT = Path(__file__).parents[2]


def trained(wrapper_type, **model):
    """The digits' model and its optimizer in a wrapper."""
    cfg = Config.fromfile(ROOT / 'configs/clim/clim_r18_1xb32-20e_digits.py')
    init_default_scope('clim_mm')
    torch.manual_seed(0)
    made = MODELS.build(dict(cfg.model, **model))
    made.init_weights()
    return made.train(), build_optim_wrapper(made, dict(cfg.optim_wrapper, type=wrapper_type))


def step(model, wrapper, seed):
    """The loss of a step on 32 samples of random pixels, and its gradient, of all parameters together."""
    gradients = {}
    handles = [
        parameter.register_post_accumulate_grad_hook(lambda p, name=name: gradients.update({name: p.grad.clone()}))
        for name, parameter in model.named_parameters() if parameter.requires_grad
    ]
    generator = torch.Generator().manual_seed(seed)
    views = [torch.randint(0, 256, (32, 3, side, side), generator=generator, dtype=torch.uint8)
             for _ in range(3) for side in (16, 12)]
    torch.manual_seed(seed)  # of the shuffle
    data = dict(inputs=named(views), data_samples=samples([[0.4, 0.6]] * 32))
    loss = model.train_step(data, optim_wrapper=wrapper)['loss'].item()
    for handle in handles:
        handle.remove()
    return loss, torch.cat([gradients[name].flatten() for name in sorted(gradients)])


@pytest.mark.e2e
@pytest.mark.parametrize('channels_last', [False, True])
def test_the_first_losses_are_those_of_float32(channels_last):
    exact, plain = trained('OptimWrapper')
    rounded, ours = trained('Bf16OptimWrapper', channels_last=channels_last)
    losses = []
    for seed in range(4):
        rounded.load_state_dict(exact.state_dict())  # left alone, any two runs drift apart
        loss, gradient = step(exact, plain, seed)
        found, its_gradient = step(rounded, ours, seed)
        assert found != loss, 'something was rounded'
        assert found == pytest.approx(loss, rel=0.01)
        assert torch.cosine_similarity(its_gradient, gradient, dim=0) > 0.98
        losses.append(loss)
    assert max(losses) / min(losses) > 1.05, 'what is compared changes by more than the tolerance'
    floats = {value.dtype for value in rounded.state_dict().values() if value.is_floating_point()}
    assert floats == {torch.float32}
    assert {state['momentum_buffer'].dtype for state in ours.optimizer.state.values()} == {torch.float32}


def test_convolutions_run_in_bfloat16_and_the_head_does_not():
    model = build()
    dtypes = {}
    for name in ('backbone', 'head'):
        getattr(model, name).register_forward_hook(
            lambda layer, inputs, output, name=name: dtypes.update({name: (output[0] if name == 'backbone' else output
                                                                           ).dtype}))
    wrapper = Bf16OptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.03))
    model.train_step(dict(inputs=named(images(3)), data_samples=samples([[0.4]] * 8)), optim_wrapper=wrapper)
    assert dtypes == dict(backbone=torch.bfloat16, head=torch.float32)


def test_its_state_is_that_of_the_plain_wrapper():
    (model, plain), (other, ours) = trained('OptimWrapper'), trained('Bf16OptimWrapper')
    step(model, plain, 0)
    step(other, ours, 0)
    assert list(plain.state_dict()) == list(ours.state_dict())
    ours.load_state_dict(plain.state_dict())


def test_a_config_names_it(folder, tmp_path):
    wrapper = dict(type='Bf16OptimWrapper', accumulative_counts=2, optimizer=dict(type='SGD', lr=0.1))
    runner = runner_of(folder, tmp_path, num_workers=0, optim_wrapper=wrapper)
    runner.train()
    assert isinstance(runner.optim_wrapper, Bf16OptimWrapper) and runner.optim_wrapper._accumulative_counts == 2
    assert torch.isfinite(runner.model.queue.keys).all()


def test_a_gpu_without_bfloat16_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'Old GPU')
    with pytest.raises(ConfigError, match='Old GPU does not compute in bfloat16: take --amp for float16'):
        trained('Bf16OptimWrapper')
