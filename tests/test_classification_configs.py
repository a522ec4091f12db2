"""Every evaluation config is what its name says, and has the paper's settings."""

import re
from pathlib import Path

import pytest
import torch
from mmcls.models import ImageClassifier
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from clim_mm.registry import HOOKS, MODELS

FOLDER = Path(__file__).parents[1] / 'configs' / 'benchmarks' / 'classification'
CONFIGS = sorted(FOLDER.rglob('*.py'))
NAME = re.compile(r'resnet(?P<depth>\d+)_(?P<kind>linear(?:-depths)?|semi)-(?P<processes>\d+)xb(?P<batch>\d+)-steplr-'
                  r'(?P<epochs>\d+)e_(?P<data>in1k|digits|textures|cifar100?)(-(?P<percent>\d+)pct(?P<again>-selftraining)?)?')


def load(name):
    (path, ) = FOLDER.rglob(f'{name}.py')
    return Config.fromfile(path)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_name_says_what_is_in_it(path):
    name = NAME.fullmatch(path.stem)
    assert name, 'resnetDEPTH_KIND-PROCESSESxbBATCH-steplr-EPOCHSe_DATA[-PERCENTpct]'
    cfg, linear = Config.fromfile(path), name['kind'].startswith('linear')
    assert path.parent.name == dict(in1k='imagenet').get(name['data'], name['data'])
    assert cfg.model.backbone.depth == int(name['depth'])
    assert cfg.train_dataloader.batch_size == int(name['batch']) and cfg.train_cfg.max_epochs == int(name['epochs'])
    assert cfg.model.backbone.get('frozen_stages', -1) == (4 if linear else -1)
    assert [dict(hook) for hook in cfg.custom_hooks] == [
        dict(type='PretrainedBackboneHook', **dict(frozen=True) if linear else {})]
    (schedule, ) = cfg.param_scheduler
    assert schedule.type == 'MultiStepLR' and schedule.gamma == 0.1
    assert max(schedule.milestones) < int(name['epochs'])
    root = f'data/{path.parent.name}'
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert train.data_root == val.data_root == root and train.data_prefix == 'train'
    assert dict(data_prefix=val.data_prefix) == dict(cfg.held_out)
    if linear:
        assert name['percent'] is None and train.type == 'ClassFolder'
    else:
        assert (train.type, train.split) == ('LabelSplit', f'{root}/{name["percent"]}percent{name["again"] or ""}.txt')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_parts_build(path):
    cfg = Config.fromfile(path)
    init_default_scope('clim_mm')
    with torch.device('meta'):  # the classifiers of ImageNet at four depths take 1 GB
        head = MODELS.build(cfg.model.head)
    model = MODELS.build(dict(cfg.model, head=head, data_preprocessor=cfg.data_preprocessor))
    assert isinstance(model, ImageClassifier)
    num_classes = dict(imagenet=1000, cifar100=100).get(path.parent.name, 10)
    assert model.head.num_classes == model.data_preprocessor.num_classes == num_classes
    if '_linear-depths-' in path.stem:
        assert {point: head.fc.in_features for point, head in model.head.heads.items()} == dict(
            imagenet=dict(res4=1024 * 49, res5_1=2048 * 49, res5_2=2048 * 49, res5_3=2048),
            digits=dict(res4=64 * 4, res5_1=128 * 4, res5_2=128))[path.parent.name]
        *_, last = model.points
        assert [*cfg.val_evaluator.task_metrics] == [*cfg.test_evaluator.task_metrics] == [*model.points]
        assert cfg.default_hooks.checkpoint.save_best == f'{last}_accuracy/top1'
        assert model.points[last] == f'layer4.{len(model.backbone.layer4) - 1}', 'the last block'
    else:
        assert model.head.fc.in_features == dict(
            imagenet=2048, digits=128, textures=64, cifar10=512, cifar100=512)[path.parent.name]
    trained = {name.partition('.')[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == ({'head'} if '_linear-' in path.stem else {'backbone', 'head'})
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        Compose(loader.dataset.pipeline)
    for hook in cfg.custom_hooks:
        HOOKS.build(hook)


def test_the_papers_linear_setting():
    cfg = load('resnet50_linear-8xb32-steplr-100e_in1k')
    assert dict(cfg.optim_wrapper.optimizer) == dict(type='SGD', lr=30.0, momentum=0.9, weight_decay=0.0)
    assert cfg.param_scheduler[0].milestones == [60, 80] and cfg.train_cfg.max_epochs == 100


@pytest.mark.parametrize('percent', [1, 10])
def test_the_papers_semi_supervised_setting(percent):
    cfg = load(f'resnet50_semi-8xb32-steplr-60e_in1k-{percent}pct')
    optimizer, factor = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.paramwise_cfg.custom_keys['head'].lr_mult
    assert (optimizer.type, optimizer.momentum, optimizer.lr) == ('SGD', 0.9, 1e-4)
    assert optimizer.lr * factor == pytest.approx(10)
    assert cfg.param_scheduler[0].milestones == [20, 40] and cfg.train_cfg.max_epochs == 60
    crop, flip = cfg.train_dataloader.dataset.pipeline[1:-1]
    assert (crop.type, crop.scale, flip.type, flip.prob) == ('mmcls.RandomResizedCrop', 224, 'RandomFlip', 0.5)


def test_the_pretraining_and_its_evaluation_see_alike():
    pretraining = Config.fromfile(FOLDER.parents[1] / 'clim' / 'clim_r50_16xb32-200e_in1k.py')
    theirs, ours = pretraining.model.data_preprocessor, load('resnet50_linear-8xb32-steplr-100e_in1k').data_preprocessor
    assert (ours.mean, ours.std, ours.to_rgb) == (theirs.mean, theirs.std, theirs.bgr_to_rgb)
