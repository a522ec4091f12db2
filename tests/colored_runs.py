"""Real training runs on images of one colour each: what was trained on under which id can be seen."""

import os

import numpy as np
from colored_images import number_of
from mmengine import dist
from mmengine.hooks import Hook
from training_runs import BATCH, N, hook_cfg, runner_of

HOOKS = dict(quarantine=dict(type='QuarantineHook'), manifest=dict(type='ManifestHook'))
SEED = 7  # of runner_of


class Eyes(Hook):
    """Notes each sample of the training, and which files its pixels are of."""

    def __init__(self):
        self.samples = []  # (epoch, id, positive, whose pixels the anchor's key has, and the positive's)
        self.lam = []
        self.batch_sizes = []
        self.tables = {}  # epoch -> the table with which it trains

    priority = 'VERY_LOW'

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        self.tables[runner.epoch] = runner.train_dataloader.dataset.table.positives.copy()
        anchor_keys, positive_keys = (data_batch['inputs'][name][0] for name in ('anchor_key', 'positive_key'))
        self.batch_sizes.append(len(anchor_keys))
        for sample, anchor, positive in zip(data_batch['data_samples'], anchor_keys, positive_keys, strict=True):
            self.samples.append((runner.epoch, int(sample.sample_idx.value), sample.positive_idx, number_of(anchor),
                                 number_of(positive)))
            self.lam.append(sample.lam)

    def ids(self, epoch):
        """The anchors of an epoch, in order of their ids."""
        return sorted(i for e, i, *_ in self.samples if e == epoch)


class After(Hook):
    """Does something to the files when an epoch has ended."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def after_train_epoch(self, runner):  # noqa: D102
        if runner.epoch == self.epoch:
            if dist.is_main_process():
                self.action()
            dist.barrier()  # nobody goes on to the next epoch before


def colored_runner(folder, work_dir, epochs=1, hooks=HOOKS, num_workers=0, max_unreadable=0.5, batch_size=BATCH,
                   checkpoints=False, more_hooks=(), hook=None, dataset=None, **overrides):
    """A Runner whose training can be watched by ``Eyes``."""
    if 'WORLD_SIZE' in os.environ:  # a process of tests/gloo.py
        wrapper = dict(type='clim_mm.DeviceDDP', broadcast_buffers=False, find_unused_parameters=False)
        overrides.update(launcher='pytorch', cfg=dict(model_wrapper_cfg=wrapper))
    pipeline = [
        dict(type='PairViews', load=[dict(type='LoadImage')],
             view=[dict(type='MultiRes', resolutions=(16, 12), transforms=[dict(type='RandomFlip', prob=0.5)])]),
        dict(type='CutMix'),
        dict(type='PackPair'),
    ]
    return runner_of(
        folder, work_dir, epochs, hook or hook_cfg(), more_hooks=more_hooks,
        train_dataloader=dict(
            batch_size=batch_size, num_workers=num_workers, persistent_workers=num_workers > 0, drop_last=True,
            sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='clim_mm.stack_collate'),
            dataset=dict(
                type='NeighborPairs', dataset=dataset or dict(type='ImageFolder', data_root=str(folder)),
                num_positives=3, max_unreadable=max_unreadable, pipeline=pipeline)),
        default_hooks=dict(
            hooks,
            sampler_seed=dict(type='EpochRandomnessHook'),
            checkpoint=dict(type='CheckpointHook', interval=1) if checkpoints else None),
        **overrides)


def train(*args, more_hooks=(), **kwargs):
    """Train, and give the witness and the runner."""
    eyes = Eyes()
    runner = colored_runner(*args, more_hooks=[eyes, *more_hooks], **kwargs)
    try:
        runner.train()
    finally:
        iterator = getattr(runner.train_dataloader, '_iterator', None)
        if iterator is not None:  # left to the garbage collector, each worker would take five seconds to stop
            iterator._shutdown_workers()
    return eyes, runner


def substitute(epoch, sample_idx, bad):
    """Who takes the place of an unreadable image, by hand."""
    rng = np.random.default_rng(np.random.SeedSequence((SEED, epoch, sample_idx)))
    return next(i for i in rng.integers(N, size=100).tolist() if i not in bad)


def check_samples(eyes, epoch, bad):
    """Check that an epoch saw each readable image once, and substitutes in the others' places, under their own ids."""
    expected = sorted(substitute(epoch, i, bad) if i in bad else i for i in range(N))
    assert eyes.ids(epoch) == expected
    for _, anchor, positive, shown, shown_positive in (sample for sample in eyes.samples if sample[0] == epoch):
        assert shown == anchor and anchor not in bad
        assert shown_positive == (anchor if positive < 0 else positive) and positive not in bad
        row = [j for j in eyes.tables[epoch][anchor].tolist() if j >= 0 and j not in bad]
        assert positive in row if row else positive == -1
