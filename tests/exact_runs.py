"""Real training runs of the smallest size whose steps can be compared, whatever the batch they were made in."""

import torch
from mmengine.config import Config
from training_runs import BATCH, model_cfg, pairs_cfg, runner_of

from clim_mm.distributed import prepare_launch
from clim_mm.models import ViewPreprocessor


class DoublePreprocessor(ViewPreprocessor):
    """The preprocessor of named views, for a model in float64."""

    def forward(self, data, training=False):  # noqa: D102
        inputs, data_samples = super().forward(data, training)
        if isinstance(inputs, list):
            return [x.double() for x in inputs], data_samples
        return {name: [x.double() for x in views] for name, views in inputs.items()}, data_samples


def exact_model_cfg(**kwargs):
    """A model without batch statistics, so that a sample does not depend on its batch."""
    cfg = model_cfg(**kwargs)
    backbone = dict(cfg['backbone'], norm_cfg=dict(type='GN', num_groups=4))
    return dict(cfg, backbone=backbone, data_preprocessor=dict(cfg['data_preprocessor'], type=DoublePreprocessor))


def loader_cfg(dataset, batch_size=BATCH, num_workers=0, drop_last=False, persistent_workers=None):
    """A loader of every sample, in another order each epoch."""
    return dict(
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=num_workers > 0 if persistent_workers is None else persistent_workers,
        drop_last=drop_last,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='clim_mm.stack_collate'),
        dataset=dataset)


def queue_runner(folder, work_dir, epochs=1, batch_size=BATCH, accumulative_counts=1, more_hooks=(), **overrides):
    """A runner with a QueueHook, in which a number of batches makes an optimizer step."""
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9), accumulative_counts=accumulative_counts)
    return runner_of(
        folder, work_dir, epochs, more_hooks=[dict(type='QueueHook'), *more_hooks],
        **dict(
            dict(
                train_dataloader=loader_cfg(pairs_cfg(folder), batch_size),
                optim_wrapper=optim_wrapper),
            **overrides))


def train_exactly(*args, **kwargs):
    """Train in float64, and give the runner."""
    torch.set_default_dtype(torch.float64)
    try:
        runner = queue_runner(*args, **dict(dict(model=exact_model_cfg(queue_len=60)), **kwargs))
        runner.train()
    finally:
        torch.set_default_dtype(torch.float32)
    return runner


def as_launched(optim_wrapper, **overrides):
    """What makes a runner one of several processes, as tools/train.py does: overrides for it."""
    cfg = Config(dict(optim_wrapper=optim_wrapper))
    prepare_launch(cfg, 'pytorch')
    return dict(overrides, cfg=cfg, optim_wrapper=optim_wrapper, launcher='pytorch')
