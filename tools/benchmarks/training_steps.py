"""CLIM's and MoCo v2's training steps on random images, and their parts."""

import copy
from collections.abc import Callable, Sequence

import clim_mm  # noqa: F401  (opens the host's version gate)

# isort: split
import torch
import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from stand_ins import stand_in

from clim_mm.errors import ConfigError
from clim_mm.host import SelfSupDataSample
from clim_mm.models import CLIM
from clim_mm.registry import MODELS

MOCO = 'mmselfsup::selfsup/mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py'
Step = Callable[[], object]


def resolutions_of(cfg: Config) -> tuple[int, ...]:
    """R, of the views that the config's pipeline makes.

    Raises:
        ConfigError: If it makes other views than those of ``MultiRes``.
    """
    for transform in cfg.train_dataloader.dataset.get('pipeline', []):
        for part in transform.get('view', []):
            if 'resolutions' in part:
                return tuple(part['resolutions'])
    raise ConfigError('The config\'s pipeline has no MultiRes whose resolutions could be taken: give --resolutions.')


def random_batch(batch_size: int, sides: Sequence[int], device: torch.device, named: bool = False) -> dict:
    """A batch as a DataLoader gives it, but already on the device.

    Args:
        batch_size: N.
        sides: Of the square views, pixels.
        device: Where the images are wanted.
        named: Give CLIM's views at these sides, with ids and ``lam``; otherwise a list of views, as MoCo's.
    """
    generator = torch.Generator().manual_seed(0)

    def views() -> list[torch.Tensor]:
        return [torch.randint(0, 256, (batch_size, 3, side, side), generator=generator, dtype=torch.uint8).to(device)
                for side in sides]

    inputs = {name: views() for name in ('query', 'anchor_key', 'positive_key')} if named else views()
    data_samples = []
    for i in range(batch_size):
        sample = SelfSupDataSample()
        if named:  # MoCo's own pipeline packs no ids
            sample.sample_idx = InstanceData(value=torch.tensor([i]))
            lam = torch.rand(len(sides), generator=generator).tolist()
            sample.set_metainfo(dict(lam=lam, positive_idx=(i + 1) % batch_size))
        data_samples.append(sample)
    return dict(inputs=inputs, data_samples=data_samples)


class Contestants:
    """The steps of one setting. All models have the same backbone and neck, and batch statistics of one group.

    Args:
        cfg: CLIM's config.
        batch_size: N.
        queue_len: K.
        device: To compute on.
        amp: bfloat16 autocast, in all.
        channels_last: Channels innermost, in all.

    Raises:
        ConfigError: If K is no multiple of N, which MMSelfSup's MoCo needs.
    """

    def __init__(self, cfg: Config, batch_size: int, queue_len: int, device: torch.device, amp: bool,
                 channels_last: bool) -> None:
        if queue_len % batch_size:
            raise ConfigError(f'--queue {queue_len} must be a multiple of --batch {batch_size}: MMSelfSup\'s MoCo '
                              'takes no other.')
        self._cfg = cfg
        self._batch_size = batch_size
        self._queue_len = queue_len
        self._device = device
        self._amp = amp
        self._channels_last = channels_last

    def moco_step(self, side: int) -> Step:
        """MMSelfSup's MoCo v2 by its own config, optimizer included, on two views of ``side`` pixels."""
        theirs = get_config(MOCO)
        same = {name: self._cfg.model[name] for name in ('backbone', 'neck', 'feat_dim')}
        with DefaultScope.overwrite_default_scope('mmselfsup'):
            model = MODELS.build(dict(theirs.model, type='mmselfsup.MoCo', queue_len=self._queue_len, **same))
        if self._channels_last:
            model.to(memory_format=torch.channels_last)
            for encoder in (model.backbone, model.encoder_k):  # as CLIM's option, at the encoders' entrance
                encoder.register_forward_pre_hook(
                    lambda module, inputs: inputs[0].contiguous(memory_format=torch.channels_last))
        model.to(self._device).train()
        optim_wrapper = self._optimizer_of(model, theirs.optim_wrapper)
        batch = random_batch(self._batch_size, [side, side], self._device)
        return lambda: model.train_step(batch, optim_wrapper=optim_wrapper)

    def clim_step(self, resolutions: Sequence[int]) -> Step:
        """CLIM's by its config: what the Runner and ``QueueHook`` do of a batch."""
        return self._step_of(self._clim(), resolutions)

    def own_work(self, resolutions: Sequence[int]) -> Step:
        """CLIM's step without the backbone's and the neck's forward and backward.

        The step of a model whose encoders are stand-ins. The gradients are still added up, which belongs to the
        backward pass: this is an upper bound.
        """
        model = self._clim()
        for name in ('query', 'momentum'):
            features = torch.randn(self._batch_size, model.embedding_dim, device=self._device)
            stand_in(*model.encoder(name), features=features)
        return self._step_of(model, resolutions)

    def encoders_alone(self, resolutions: Sequence[int]) -> Step:
        """Backbone and neck on CLIM's views: queries forward and backward, and between them the keys forward."""
        model = self._clim()
        num = len(resolutions)
        views, _ = model.data_preprocessor(random_batch(self._batch_size, [*resolutions] * 3, self._device))
        if self._channels_last:
            views = [x.contiguous(memory_format=torch.channels_last) for x in views]
        like_features = [torch.randn(self._batch_size, model.embedding_dim, device=self._device) for _ in range(num)]

        def step() -> None:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._amp):
                queries = [model.encoder('query')(x)['last'] for x in views[:num]]
                with torch.no_grad():
                    for x in views[num:]:
                        model.encoder('momentum')(x)
            torch.autograd.backward(queries, [g.to(q) for g, q in zip(like_features, queries, strict=True)])
            model.zero_grad()

        return step

    def _clim(self) -> CLIM:
        settings = dict(queue_len=self._queue_len, bn_splits=1, channels_last=self._channels_last)
        with DefaultScope.overwrite_default_scope('clim_mm'):
            model = MODELS.build(ConfigDict(copy.deepcopy(self._cfg.model), **settings))
        if not isinstance(model, CLIM):
            raise ConfigError(f'The config\'s model is a {type(model).__name__}, and what is measured is CLIM: give '
                              'another config.')
        model.advance_after_loss = False  # as QueueHook has it
        return model.to(self._device).train()

    def _step_of(self, model: CLIM, resolutions: Sequence[int]) -> Step:
        optim_wrapper = self._optimizer_of(model, self._cfg.optim_wrapper)
        batch = random_batch(self._batch_size, resolutions, self._device, named=True)

        def step() -> None:
            model.train_step(batch, optim_wrapper=optim_wrapper)
            model.advance()

        return step

    def _optimizer_of(self, model: nn.Module, optim_wrapper: ConfigDict) -> OptimWrapper:
        wrapper = copy.deepcopy(optim_wrapper)
        if self._amp:
            wrapper.type = 'Bf16OptimWrapper'
        with DefaultScope.overwrite_default_scope('clim_mm'):
            return build_optim_wrapper(model, wrapper)
