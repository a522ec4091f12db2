"""Real Runners of a linear model on numbers, for the tests of checkpoints: a run of two epochs takes a moment."""

import itertools

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner

NUMBERS = itertools.count()  # a Runner's name must be its own: MMEngine keeps loggers by it
STEPS = 3  # an epoch


class Numbers(torch.utils.data.Dataset):
    """Six pairs of numbers."""

    metainfo = dict(classes=('low', 'high'))

    def __len__(self):
        return 2 * STEPS

    def __getitem__(self, i):
        return torch.tensor([i / 6, 1 - i / 6]), torch.tensor([float(i > 2)])


class Linear(BaseModel):
    """A linear model, with a layer and a buffer more if they are wanted."""

    def __init__(self, outputs=1, extra=False, ballast=0):
        super().__init__()
        self.layer = torch.nn.Linear(2, outputs)
        if extra:
            self.extra = torch.nn.Linear(2, outputs)
        self.register_buffer('ballast', torch.arange(float(ballast)))

    def forward(self, inputs, labels=None, mode='tensor'):  # noqa: D102
        y = self.layer(inputs)
        return dict(loss=((y - labels)**2).mean()) if mode == 'loss' else y


class Stumbling(Linear):
    """Cannot be trained."""

    def forward(self, inputs, labels=None, mode='tensor'):  # noqa: D102
        raise LookupError('where am I?')


def toy_config(work_dir, epochs=1, checkpoint=None, **settings):
    """The config of such a run; ``settings`` beside the parts that are objects."""
    return Config(
        dict(
            work_dir=str(work_dir),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            param_scheduler=[dict(type='MultiStepLR', milestones=[1], by_epoch=True)],
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, **(checkpoint or {}))),
            visualizer=dict(type='clim_mm.Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
            randomness=dict(seed=3),
            log_level='ERROR',
            experiment_name=f'toy_{next(NUMBERS)}',
            **settings))


def toy_runner(cfg, hooks=(), **model):
    """A Runner of the config, and of a model and hooks that are made here."""
    torch.manual_seed(3)
    loader = torch.utils.data.DataLoader(Numbers(), batch_size=2)
    return Runner(
        model=Linear(**model), train_dataloader=loader, custom_hooks=list(hooks), cfg=cfg,
        **{key: cfg.get(key) for key in (
            'work_dir', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'default_hooks', 'visualizer', 'randomness',
            'log_level', 'experiment_name', 'load_from')},
        resume=cfg.get('resume', False))
