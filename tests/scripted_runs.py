"""Real Runners whose model reports figures that the test has written down, step by step."""

import itertools

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner

from clim_mm.models.parts.contrastive_health import CONTRASTIVE

NUMBERS = itertools.count()  # a Runner's name must be its own: MMEngine keeps loggers by it
SOUND = dict(
    relative_nce=0.8, positive_similarity=0.6, negative_similarity=0.1, feature_std=0.9, queue_fill=1.0,
    without_positive=0.0)


class ScriptedModel(BaseModel):
    """Learns one number, and reports ``script[step]`` beside the loss; it is judged as CLIM is.

    Args:
        script: For each step, figures by name.
    """

    health_rules = CONTRASTIVE

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.number = torch.nn.Parameter(torch.ones(()))
        self.register_buffer('step', torch.zeros((), dtype=torch.int64))

    def forward(self, x, mode):  # noqa: D102
        figures = {name: torch.tensor(value) for name, value in self.script[int(self.step)].items()}
        self.step += 1
        return dict(loss=(self.number * x).mean(), **figures)


def scripted_run(work_dir, script, hook, epochs=1, epoch_length=None, **overrides):
    """Train through ``script``, in epochs of ``epoch_length`` steps.

    Returns:
        The Runner. Its log is ``work_dir/run.log``, which several runs continue.
    """
    name = f'scripted_{next(NUMBERS)}'
    runner = Runner(
        **dict(
            dict(
                model=ScriptedModel(script),
                work_dir=str(work_dir),
                train_dataloader=dict(
                    batch_size=1,
                    num_workers=0,
                    sampler=dict(type='DefaultSampler', shuffle=False),
                    collate_fn=dict(type='default_collate'),
                    dataset=[(torch.ones(1), )] * (epoch_length or len(script))),
                train_cfg=dict(by_epoch=True, max_epochs=epochs),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
                custom_hooks=[hook],
                default_hooks=dict(checkpoint=None),
                visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')], name=name),
                default_scope='clim_mm',
                randomness=dict(seed=0),
                log_level='ERROR',
                experiment_name=name), **overrides))
    runner.logger = MMLogger(name, log_file=str(work_dir / 'run.log'), log_level='INFO', file_mode='a')
    runner.train()
    return runner
