"""Whether a training step on the device is the step on the CPU, from equal weights."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from training_steps import random_batch

from clim_mm.models import CLIM
from clim_mm.registry import MODELS

from .rows import Row, at_least, at_most
from .setting import Setting

_CONFIG = 'clim_r18_1xb32-20e_digits.py'  # with the learning rate that it trains by
_SIDES = (16, 12)


@dataclass
class Trained:
    """A model in training.

    Attributes:
        model: The model, where it is.
        wrapper: Of its optimizer.
        samples: Of a batch.
    """

    model: CLIM
    wrapper: OptimWrapper
    samples: int

    @classmethod
    def of(cls, setting: Setting, device: torch.device, dtype: torch.dtype, amp: bool = False) -> 'Trained':
        """The digits' model, the same each time."""
        cfg = Config.fromfile(setting.config(_CONFIG, _CONFIG))
        torch.manual_seed(0)
        model = MODELS.build(dict(cfg.model, queue_len=256))
        model.init_weights()
        model.to(device, dtype).train()
        model.advance_after_loss = False
        model.data_preprocessor.register_forward_hook(
            lambda module, inputs, output: (
                {name: [x.to(dtype) for x in views] for name, views in output[0].items()}, output[1]))
        settings = copy.deepcopy(cfg.optim_wrapper)
        if amp:
            settings.type = 'Bf16OptimWrapper'
        return cls(model, build_optim_wrapper(model, settings), 16 if setting.small else 32)

    def step(self, seed: int) -> tuple[float, torch.Tensor]:
        """Loss and gradient, of all parameters together, of a step on samples of random pixels."""
        gradients: dict[str, torch.Tensor] = {}
        handles = [parameter.register_post_accumulate_grad_hook(
            lambda p, name=name: gradients.update({name: p.grad.detach().double().cpu()}))
            for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        generator = torch.Generator().manual_seed(seed)
        batch = random_batch(self.samples, _SIDES, torch.device('cpu'), named=True)
        batch['inputs'] = {name: [torch.randint(0, 256, x.shape, generator=generator, dtype=torch.uint8) for x in views]
                           for name, views in batch['inputs'].items()}
        torch.manual_seed(seed)  # of the shuffle
        loss = self.model.train_step(batch, optim_wrapper=self.wrapper)['loss'].item()
        self.model.advance()
        for handle in handles:
            handle.remove()
        return loss, torch.cat([gradients[name].flatten() for name in sorted(gradients)])


def check_steps(setting: Setting) -> Iterator[Row]:
    """Losses and queue in float64 and float32, first losses and gradients in bfloat16."""
    init_default_scope('clim_mm')
    MMLogger.get_instance('acceptance', log_level='ERROR')  # every parameter's start would be told
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    steps, cpu = 2 if setting.small else 20, torch.device('cpu')
    for dtype, bound in [(torch.float64, 1e-8), (torch.float32, 1e-4)]:
        name = str(dtype).removeprefix('torch.')
        ours, reference = Trained.of(setting, setting.torch_device, dtype), Trained.of(setting, cpu, dtype)
        yield from rows_of(ours, reference, steps, bound, name)
    yield from bf16_rows(setting, 1 if setting.small else 4)


def rows_of(ours: Trained, reference: Trained, steps: int, bound: float, name: str) -> Iterator[Row]:
    """How far two trainings from equal weights are apart after some steps."""
    ours.model.load_state_dict(reference.model.state_dict())
    apart = []
    for seed in range(steps):
        (loss, _), (expected, _) = ours.step(seed), reference.step(seed)
        apart.append(abs(loss / expected - 1))
    yield at_most(f'losses of {steps} steps, {name}, apart', max(apart, key=_nan_last), bound)
    queue = (ours.model.queue.keys.cpu() - reference.model.queue.keys.cpu()).abs().max().item()
    yield at_most(f'queue after {steps} steps, {name}, apart', queue, bound)


def _nan_last(value: float) -> float:
    return value if value == value else float('inf')


def bf16_rows(setting: Setting, steps: int) -> Iterator[Row]:
    """Each step anew from float32's weights: left alone, any two runs drift apart."""
    exact = Trained.of(setting, setting.torch_device, torch.float32)
    rounded = Trained.of(setting, setting.torch_device, torch.float32, amp=True)
    apart, cosines = [], []
    for seed in range(steps):
        rounded.model.load_state_dict(exact.model.state_dict())
        (expected, gradient), (loss, its_gradient) = exact.step(seed), rounded.step(seed)
        apart.append(abs(loss / expected - 1))
        cosines.append(torch.cosine_similarity(its_gradient, gradient, dim=0).item())
    yield at_most(f'first {steps} losses, bfloat16 and float32, apart', max(apart, key=_nan_last), 0.01)
    yield at_least('cosine of their gradients', min(cosines, key=lambda c: c if c == c else -1), 0.98)
