"""What an evaluation by training must not be: of other classes, of other images, of images it was trained on."""

import shutil

import published_files
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from test_pretrained_backbone_hook import NUMBERS

from clim_mm.checkpoints.backbone import backbone_init
from clim_mm.errors import ConfigError, sentence

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures('one_torch_thread')]

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(32, 32)), dict(type='mmcls.PackClsInputs')]
BACKBONE = dict(type='mmcls.ResNet', depth=18, stem_channels=4, base_channels=4)
RGB = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), to_rgb=True)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Files of others, by their names, and the networks in them."""
    folder = tmp_path_factory.mktemp('published')
    return {name: published_files.write(folder / f'{name}.pth', name, narrow=True)
            for name in published_files.PUBLISHED}


@pytest.fixture
def root(train_and_val):
    return train_and_val


def runner_of(root, init_cfg, train=None, val=None, preprocessor=None, frozen=True, backbone=None, num_classes=2,
              topk=1):
    loader = dict(batch_size=4, collate_fn=dict(type='default_collate'))
    dataset = dict(type='mmcls.CustomDataset', data_root=str(root), pipeline=PIPELINE)
    network = dict(backbone or BACKBONE, init_cfg=init_cfg, **(dict(frozen_stages=4) if frozen else {}))
    return Runner.from_cfg(Config(dict(
        model=dict(
            type='mmcls.ImageClassifier', backbone=network, neck=dict(type='mmcls.GlobalAveragePooling'),
            data_preprocessor=dict(dict(type='mmcls.ClsDataPreprocessor'), **(preprocessor or RGB)),
            head=dict(type='mmcls.LinearClsHead', num_classes=num_classes, in_channels=32, topk=(1, ),
                      loss=dict(type='mmcls.CrossEntropyLoss'))),
        work_dir=str(root / 'work'), experiment_name=f'test_premises_{next(NUMBERS)}',
        train_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=True),
                              dataset=dict(dataset, **dict(dict(data_prefix='train'), **(train or {})))),
        val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False),
                            dataset=dict(dataset, **dict(dict(data_prefix='val'), **(val or {})))),
        val_cfg=dict(), val_evaluator=dict(type='mmcls.Accuracy', topk=topk),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001)), train_cfg=dict(by_epoch=True, max_epochs=1),
        default_hooks=dict(checkpoint=None),
        custom_hooks=[dict(type='PretrainedBackboneHook', frozen=frozen)],
        default_scope='clim_mm', log_level='WARNING', randomness=dict(seed=0))))


@pytest.mark.parametrize('name, by_command', [
    *((name, True) for name in published_files.PUBLISHED), ('moco_v2', False), ('torchvision', False)])
def test_a_linear_evaluation_of_what_others_have_published(root, files, name, by_command):
    path, network = files[name]
    runner = runner_of(root, backbone_init(path) if by_command else dict(
        type='Pretrained', checkpoint=path, prefix='backbone.'))
    runner.train()
    own = runner.model.backbone.state_dict()
    assert all(torch.equal(own[key], value) for key, value in published_files.weights_of(network, False).items()
               if 'num_batches' not in key)


def test_few_labels(root, files):
    runner = runner_of(root, backbone_init(files['moco_v2'][0]), frozen=False)
    runner.train()


def rename(root, old, new):
    (root / old).rename(root / new)


def reversed_list(root, name):
    paths = (root / name).rglob('*.png')
    lines = [f'{path.parent.name}/{path.name} {int(path.parent.name == "cat")}' for path in paths]
    (root / f'{name}.txt').write_text('\n'.join(lines))


def of_one_class(root):
    for name in ('train', 'val'):
        shutil.rmtree(root / name / 'dog')


def linked(root):
    shutil.rmtree(root / 'val')
    (root / 'val').symlink_to(root / 'train')


def linked_files(root):
    for path in (root / 'val').rglob('*.png'):
        path.unlink()
        path.symlink_to(root / 'train' / path.parent.name / path.name)


def copied(root):
    shutil.rmtree(root / 'val')
    shutil.copytree(root / 'train', root / 'val')


def shared_lines(root):
    train = sorted((root / 'train').rglob('*.png'))
    for name, paths in (('a', train[:8]), ('b', train[7:])):
        (root / f'{name}.txt').write_text('\n'.join(f'{path} {int(path.parent.name == "dog")}' for path in paths))


@pytest.mark.parametrize('change, settings, words', [
    (lambda root: shutil.rmtree(root / 'val' / 'dog'), {}, ['1 classes of the held-out', '(dog)']),
    (lambda root: rename(root, 'val/dog', 'val/cow'), {}, ['2 classes of the held-out', '(cow, dog)']),
    (lambda root: None, dict(val=dict(classes=['dog', 'cat'])), ['another order']),
    (lambda root: None, dict(topk=(1, 5)), ['accuracy among the best 5 of 2 classes: set val_evaluator.topk']),
    (of_one_class, dict(num_classes=1), ['all of one class, so that every figure would be right']),
    (lambda root: None, dict(val=dict(metainfo=dict(classes=['dog', 'cat']))), ['another order']),
    (lambda root: reversed_list(root, 'val'), dict(val=dict(ann_file='val.txt')),
     ['0 classes of the held-out', 'give both']),
    (lambda root: None, dict(num_classes=3), ['3 outputs', '2 classes', 'model.head.num_classes=2']),
    (lambda root: None, dict(num_classes=1), ['1 outputs', 'model.head.num_classes=2']),
    (lambda root: None, dict(val=dict(data_prefix='train')), ['12 of the 12 held-out images are training images']),
    (lambda root: None, dict(val=dict(data_prefix='train/../train')), ['12 of the 12 held-out images']),
    (linked, {}, ['12 of the 12 held-out images are training images']),
    (linked_files, {}, ['12 of the 12 held-out images are training images']),
    (copied, {}, ['12 held-out images that were looked into are copies of training', 'val_dataloader.dataset']),
    (shared_lines, dict(train=dict(data_prefix='', ann_file='a.txt'), val=dict(data_prefix='', ann_file='b.txt')),
     ['1 of the 5 held-out images are training images']),
    (lambda root: None, dict(preprocessor=dict(RGB, to_rgb=False)), ['normalised here by BGR', 'was trained with RGB']),
    (lambda root: None, dict(preprocessor=dict(RGB, mean=(0, 0, 0))), ['mean [0.0, 0.0, 0.0]', 'was trained with']),
    (lambda root: None, dict(preprocessor=dict(RGB, std=(1, 1, 1))), ['std [1.0, 1.0, 1.0]', 'was trained with']),
])
def test_another_task_than_the_one_meant(root, files, change, settings, words):
    change(root)
    with pytest.raises(ConfigError) as raised:
        runner_of(root, backbone_init(files['moco_v2'][0]), **settings).train()
    text = sentence(raised.value)
    assert all(word in text for word in words), text


def test_another_framework_than_is_known(root, tmp_path):
    torch.save({'features.0.weight': torch.zeros(1)}, tmp_path / 'vgg.pth')
    with pytest.raises(ConfigError, match='has no backbone .its 1 entries begin with features.0.weight'):
        runner_of(root, backbone_init(str(tmp_path / 'vgg.pth'))).train()
