"""tools/train.py runs MMClassification's configs too."""

import pytest

pytestmark = pytest.mark.e2e

CLASSIFIER = """
default_scope = 'mmcls'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, num_stages=4, out_indices=(3, ), style='pytorch'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=512, loss=dict(type='CrossEntropyLoss')))
data_preprocessor = dict(num_classes=5, mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4], to_rgb=True)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset',
        data_root={root!r},
        data_prefix='train',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomResizedCrop', scale=32),
            dict(type='PackClsInputs')
        ]))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
train_cfg = dict(by_epoch=True, max_epochs=1)
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
env_cfg = dict(dist_cfg=dict(backend='nccl'))
"""


@pytest.mark.parametrize('processes', [1, 2])
def test_a_classifier_trains(run, imagenet_like, tmp_path, processes):
    config = tmp_path / 'classifier.py'
    config.write_text(CLASSIFIER.format(root=str(imagenet_like)))
    launcher = ['--launcher', 'pytorch'] if processes > 1 else []
    result = run('tools/train.py', config, *launcher, '--work-dir', tmp_path / 'work', processes=processes)
    assert result.returncode == 0, result.stdout[-3000:]
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()
