"""Real training runs of the smallest size, for the tests of the hook: Runners, what they saw, and the same by hand."""

import copy
import itertools
import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.neighbors import cluster, search, select_positives
from clim_mm.neighbors.refresh import refresh_seed

N, P, BATCH, STEPS = 24, 3, 8, 3  # images, positives, batch size, steps an epoch
CHANNELS = 12  # of the pooled features: the backbone is the stem and the first stage of a ResNet-18
EXTRACT_PIPELINE = [
    dict(type='LoadImage'),
    dict(type='Resize', scale=(16, 16)),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]
NUMBERS = itertools.count()  # a Runner's name must be its own: MMEngine keeps loggers by it


def write_images(root, number):
    rng = np.random.default_rng(0)
    for i in range(number):
        color = rng.normal(128, 25, 3) + 40 * np.eye(4, 3)[i % 4]
        pixels = np.clip(color + rng.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
        path = root / f'class{i % 4}' / f'{i:02d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def tag_pid(packed):
    """The training pipeline's end: tells which process made the sample."""
    packed['data_samples'].set_metainfo(dict(pid=os.getpid()))
    return packed


class Witness(Hook):
    """Notes what the training sees, before and after the hook under test."""

    def __init__(self, modes=itertools.repeat(True)):  # noqa: B008
        self.samples = []  # (epoch, id, positive, version, pid)
        self.tables = {}  # epoch -> the table with which it trains
        self.encoders = {}  # epoch -> both encoders as the refresh must have found them
        self.modes_before, self.modes_after = iter(modes), []
        self.steps = {}

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner):  # noqa: D102
        self.encoders[runner.epoch] = {
            name: copy.deepcopy(runner.model.encoder(name)).eval() for name in ('momentum', 'query')
        }
        self.steps[runner.epoch] = runner.iter
        runner.model.train(next(self.modes_before))
        self.modes_after.append(runner.model.training)

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        assert runner.model.training
        self.tables[runner.epoch] = runner.train_dataloader.dataset.table.positives.copy()
        self.samples += [(runner.epoch, int(s.sample_idx.value), s.positive_idx, s.table_version, s.pid)
                         for s in data_batch['data_samples']]

    def versions(self):
        """For each epoch, the versions of the tables that its samples came from."""
        epochs = sorted({epoch for epoch, *_ in self.samples})
        return {epoch: {version for e, _, _, version, _ in self.samples if e == epoch} for epoch in epochs}


class LastMode(Hook):
    """Notes the model's mode right after the hook under test."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.modes = []

    def before_train_epoch(self, runner):  # noqa: D102
        self.modes.append(runner.model.training)


def model_cfg(**kwargs):
    return dict(
        dict(
            type='CLIM',
            queue_len=24,
            feat_dim=16,
            momentum=0.5,
            data_preprocessor=dict(mean=(128, 128, 128), std=(50, 50, 50), bgr_to_rgb=True),
            backbone=dict(
                type='mmcls.ResNet', depth=18, stem_channels=8, base_channels=CHANNELS, num_stages=1, strides=(1, ),
                dilations=(1, ), out_indices=(0, ), norm_cfg=dict(type='BN')),
            neck=dict(
                type='mmselfsup.MoCoV2Neck', in_channels=CHANNELS, hid_channels=32, out_channels=16,
                with_avg_pool=True),
            head=dict(type='MixedContrastiveHead', temperature=0.2)), **kwargs)


def pairs_cfg(folder):
    return dict(
        type='NeighborPairs',
        dataset=dict(type='mmcls.CustomDataset', data_root=str(folder)),
        num_positives=P,
        pipeline=[
            dict(
                type='PairViews',
                load=[dict(type='LoadImage')],
                view=[dict(type='MultiRes', resolutions=(16, 12), transforms=[dict(type='RandomFlip', prob=0.5)])]),
            dict(type='CutMix', alpha=2.0),
            dict(type='PackPair'),
            tag_pid,
        ])


def hook_cfg(**kwargs):
    return dict(
        dict(
            type='CenterWiseNeighborHook',
            interval=2,
            num_clusters=4,
            num_neighbors=6,
            extract=dict(pipeline=EXTRACT_PIPELINE, batch_size=10, num_workers=0)), **kwargs)


def runner_of(folder, work_dir, epochs=1, hook=None, witness=None, more_hooks=(), num_workers=0, checkpoints=False,
              **overrides):
    cfg = dict(
        model=model_cfg(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=BATCH,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            drop_last=True,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='clim_mm.stack_collate'),
            dataset=pairs_cfg(folder)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9)),
        custom_hooks=[hook_cfg() if hook is None else hook, *([] if witness is None else [witness]), *more_hooks],
        default_hooks=dict(
            sampler_seed=dict(type='EpochRandomnessHook'),
            checkpoint=dict(type='CheckpointHook', interval=1) if checkpoints else None),
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        default_scope='clim_mm',
        randomness=dict(seed=7),
        log_level='ERROR',
        experiment_name=f'test_hook_{next(NUMBERS)}')
    return Runner(**dict(cfg, **overrides))


def train(*args, **kwargs):
    """Train, and give the witness and the runner."""
    witness = kwargs.pop('witness', None) or Witness()
    runner = runner_of(*args, witness=witness, **kwargs)
    runner.train()
    iterator = runner.train_dataloader._iterator
    if iterator is not None:  # left to the garbage collector, each worker would take five seconds to stop
        iterator._shutdown_workers()
    return witness, runner


def features_by_hand(folder, encoder, layer='embedding'):
    """(N, d): the images of ``EXTRACT_PIPELINE``, ten at a time, by plain functions."""
    views = SingleViews(ImageFolder(str(folder)), EXTRACT_PIPELINE)
    images = torch.stack([views[i]['inputs'][0] for i in range(N)])
    images = (images.flip(1).float() - 128) / 50
    backbone, neck = encoder
    rows = []
    with torch.no_grad():
        for x in images.split(10):
            h = backbone(x)
            rows.append(F.normalize(neck(h)[0] if layer == 'embedding' else h[-1].mean(dim=(2, 3)), dim=1))
    return torch.cat(rows).numpy()


def table_by_hand(features, epoch, strategy='center_wise'):
    seed = refresh_seed(7, epoch)
    centroids, assignments = cluster(features, 4, seed=seed)
    return select_positives(features, centroids, assignments, search(features, 6), P, strategy=strategy, seed=seed)


def lines_of(work_dir):
    return [json.loads(line) for line in (work_dir / 'neighbors.jsonl').read_text().splitlines()]


def purity_by_hand(table, labels):
    matches = [labels[j] == labels[i] for i, row in enumerate(table) for j in row if j >= 0]
    return sum(matches) / len(matches)
