"""Evaluations by training, in real Runners: the backbone is the pretrained one, and stays so if frozen."""

import itertools

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from clim_mm.errors import ConfigError, TrainingError, sentence
from clim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('one_torch_thread')

BACKBONE = dict(type='mmcls.ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4)
NUMBERS = itertools.count()


@pytest.fixture
def checkpoint(tmp_path):
    """As pretraining writes it."""
    init_default_scope('clim_mm')
    torch.manual_seed(3)
    weights = {f'backbone.{name}': value for name, value in MODELS.build(BACKBONE).state_dict().items()}
    path = str(tmp_path / 'epoch_3.pth')
    torch.save(dict(state_dict=dict(weights, queue=torch.zeros(2, 2)), meta={}), path)
    return path


class Meddler(Hook):
    """Changes the backbone in the second epoch."""

    def before_train_epoch(self, runner):
        """Make a step that nobody asked for."""
        if runner.epoch == 1:
            with torch.no_grad():
                runner.model.backbone.layer1[0].conv1.weight[0, 0, 0, 0] += 1e-3


def train(folder, work_dir, checkpoint, frozen=True, more_hooks=(), epochs=2, resume=False, **backbone):
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.') if checkpoint is not None else None
    runner = Runner(
        model=dict(
            type='mmcls.ImageClassifier',
            data_preprocessor=dict(type='mmcls.ClsDataPreprocessor', mean=(120, 120, 120), std=(60, 60, 60)),
            backbone=dict(BACKBONE, init_cfg=init_cfg, **dict(dict(frozen_stages=4) if frozen else {}, **backbone)),
            neck=dict(type='mmcls.GlobalAveragePooling'),
            head=dict(type='mmcls.LinearClsHead', num_classes=2, in_channels=32, topk=(1, ),
                      loss=dict(type='mmcls.CrossEntropyLoss'))),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=4, sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='mmcls.CustomDataset', data_prefix=str(folder),
                pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(8, 8)),
                          dict(type='mmcls.PackClsInputs')])),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
        custom_hooks=[dict(type='PretrainedBackboneHook', frozen=frozen), *more_hooks],
        default_scope='clim_mm', log_level='ERROR', resume=resume, randomness=dict(seed=0),
        experiment_name=f'test_pretrained_{next(NUMBERS)}')
    runner.train()
    return runner


def test_a_frozen_backbone_is_the_checkpoints_to_the_end(class_folder, tmp_path, checkpoint):
    runner = train(class_folder, tmp_path / 'work', checkpoint)
    saved = torch.load(checkpoint, weights_only=True)['state_dict']
    own = runner.model.backbone.state_dict()
    assert all(torch.equal(value, saved[f'backbone.{name}']) for name, value in own.items())


def test_a_backbone_that_is_trained_starts_there_and_moves(class_folder, tmp_path, checkpoint):
    runner = train(class_folder, tmp_path / 'work', checkpoint, frozen=False)
    saved = torch.load(checkpoint, weights_only=True)['state_dict']
    moved = (runner.model.backbone.conv1.weight - saved['backbone.conv1.weight']).abs().max()
    assert 0 < moved < 0.1
    train(class_folder, tmp_path / 'work', checkpoint, frozen=False, epochs=3, resume=True)


@pytest.mark.parametrize('frozen', [True, False])
def test_an_evaluation_is_resumed_only_with_the_backbone_that_it_began_with(class_folder, tmp_path, checkpoint, frozen):
    train(class_folder, tmp_path / 'work', checkpoint, frozen=frozen)
    other = torch.load(checkpoint, weights_only=True)
    other['state_dict']['backbone.conv1.weight'] += 1e-3
    torch.save(other, tmp_path / 'other.pth')
    with pytest.raises(ConfigError, match='/work has not started from .*/other.pth: resume it with what it has'):
        train(class_folder, tmp_path / 'work', str(tmp_path / 'other.pth'), frozen, epochs=3, resume=True)


def test_a_changed_backbone_stops_the_evaluation(class_folder, tmp_path, checkpoint):
    with pytest.raises(TrainingError) as raised:
        train(class_folder, tmp_path / 'work', checkpoint, more_hooks=[Meddler()])
    assert 'changed in epoch 2 (1 tensors, first layer1.0.conv1.weight)' in sentence(raised.value)
    assert not (tmp_path / 'work' / 'epoch_2.pth').exists()


@pytest.mark.parametrize('backbone, words', [
    (dict(frozen_stages=2), ['is to be frozen', 'first layer3.0.conv1.weight', 'frozen_stages']),
    (dict(depth=34), ['does not take up', 'missing', 'epoch_3.pth']),
    (dict(base_channels=8), ['does not take up', 'another shape']),
])
def test_a_backbone_that_does_not_fit(class_folder, tmp_path, checkpoint, backbone, words):
    with pytest.raises(ConfigError) as raised:
        train(class_folder, tmp_path / 'work', checkpoint, **backbone)
    text = sentence(raised.value)
    assert all(word in text for word in words), text


def test_no_checkpoint(class_folder, tmp_path):
    with pytest.raises(ConfigError, match='give it by --pretrained'):
        train(class_folder, tmp_path / 'work', None)
