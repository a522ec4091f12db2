"""Every registered name is found and built by MMEngine's registries under the scope clim_mm, without a warning."""

import logging

import pytest
import torch
from mmengine import registry as mmengine_registry
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope, Registry

from clim_mm import registry as clim_registry

HEAD = dict(type='MixedContrastiveHead', temperature=0.1)
MOCO_HEAD = dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss'), temperature=0.2)
VIEW = dict(type='MultiRes', resolutions=(16, 12), transforms=[dict(type='RandomFlip', prob=0.5)])
OURS = {value.name: value for value in vars(clim_registry).values() if isinstance(value, Registry)}
NAMES = {
    'dataset': ['ClassFolder', 'ImageFolder', 'ImageList', 'ImageSamples', 'LabelSplit', 'NeighborPairs',
                'SingleViews'],
    'function': ['stack_collate'],
    'hook': [
        'CenterWiseNeighborHook', 'CheckpointGuardHook', 'EpochRandomnessHook', 'HistoryHook', 'KNNHook',
        'LoaderWatchHook', 'ManifestHook', 'NeighborPageHook', 'OptimizerStepHook', 'OraclePositivesHook',
        'PreflightHook', 'PretrainedBackboneHook', 'QuarantineHook', 'QueueHook', 'ResumeGuardHook', 'WatchdogHook'
    ],
    'model': ['BYOL', 'C2BIN', 'CLIM', 'ClusterContrastHead', 'DepthHeads', 'DepthProbe', 'DeviceViews', 'HSA',
              'MixedContrastiveHead', 'MoCo', 'MultiPositiveHead', 'ViewPreprocessor'],
    'optim_wrapper': ['Bf16OptimWrapper'],
    'model_wrapper': ['DeviceDDP'],
    'transform': [
        'CenterView', 'ColorJitter', 'CutMix', 'LoadImage', 'MixUp', 'MultiRes', 'PackPair', 'PairViews', 'RandomFlip',
        'RandomGaussianBlur', 'RandomGrayscale'
    ],
    'vis_backend': ['LocalVisBackend'],
    'visualizer': ['Visualizer'],
}


def options_of(name, folder):
    source = dict(type='ImageFolder', data_root=str(folder))
    backbone = dict(type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[4])
    neck = dict(type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=8, out_channels=8)
    projector, predictor = (dict(type='mmselfsup.NonLinearNeck', in_channels=channels, hid_channels=8, out_channels=8)
                            for channels in (64, 8))
    byol = dict(backbone=backbone, neck=projector, head=dict(
        type='mmselfsup.LatentPredictHead', predictor=predictor, loss=dict(type='mmselfsup.CosineSimilarityLoss')))
    heads = dict(
        num_classes=2, points=dict(res4=dict(in_channels=32, side=2)), loss=dict(type='mmcls.CrossEntropyLoss'))
    clusters = dict(type='ClusterContrastHead', in_channels=64)
    return dict(
        BYOL=byol,
        C2BIN=dict(byol, cluster_head=clusters, num_clusters=(2, 4)),
        ClusterContrastHead=dict(in_channels=8, num_clusters=2),
        DepthHeads=heads,
        DepthProbe=dict(backbone=backbone, points=dict(res4='layer3'), head=dict(heads, type='DepthHeads')),
        CenterView=dict(crop_size=24),
        ClassFolder=dict(data_root=str(folder)),
        ImageFolder=dict(data_root=str(folder)),
        ImageList=dict(data_prefix=str(folder), ann_file=str(folder.parent / 'split.txt')),
        LabelSplit=dict(data_prefix=str(folder), split=str(folder.parent / 'split.txt')),
        NeighborPairs=dict(dataset=source, pipeline=[dict(type='PackPair')]),
        SingleViews=dict(dataset=source, pipeline=[dict(type='LoadImage')]),
        CenterWiseNeighborHook=dict(extract=dict(pipeline=[dict(type='LoadImage')])),
        CLIM=dict(backbone=backbone, neck=neck, head=HEAD, queue_len=8, feat_dim=8),
        HSA=dict(backbone=backbone, neck=neck, head=dict(type='MultiPositiveHead'), queue_len=8, feat_dim=8),
        ImageSamples=dict(dataset=source, pipeline=[dict(type='LoadImage')]),
        MoCo=dict(backbone=backbone, neck=neck, head=MOCO_HEAD, queue_len=8, feat_dim=8),
        MultiRes=dict(resolutions=(16, 12)),
        RandomGaussianBlur=dict(sigma_min=0.1, sigma_max=2.0),
        Bf16OptimWrapper=dict(optimizer=torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)),
        PairViews=dict(load=[dict(type='LoadImage')], view=[VIEW]),
        LocalVisBackend=dict(save_dir=str(folder.parent)),
        Visualizer=dict(name='built'),
    ).get(name, {})


@pytest.fixture
def warnings():
    """The warnings of MMEngine's log."""
    records = []

    class Collect(logging.Handler):

        def emit(self, record):
            records.append(record.getMessage())

    handler, logger = Collect(level=logging.WARNING), MMLogger.get_current_instance()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel('WARNING')
    with DefaultScope.overwrite_default_scope('clim_mm'):
        yield records
    logger.setLevel(level)
    logger.removeHandler(handler)


def root_of(kind):
    """MMEngine's own registry of a kind, which the Runner asks."""
    return next(value for value in vars(mmengine_registry).values()
                if isinstance(value, Registry) and value.name == kind and value.scope == 'mmengine')


def test_what_is_registered(warnings):
    for kind, registry in OURS.items():
        registry.import_from_location()
        ours = [name for name, part in registry.module_dict.items() if part.__module__.startswith('clim_mm.')]
        assert sorted(ours) == NAMES.get(kind, []), kind  # tests register parts of their own
    assert set(NAMES) <= set(OURS)
    assert warnings == []


@pytest.mark.parametrize('kind, name', [
    (kind, name) for kind in NAMES for name in NAMES[kind] if kind not in ('function', 'model_wrapper')
])
@pytest.mark.parametrize('prefix', ['', 'clim_mm.'])
def test_it_builds(kind, name, prefix, class_folder, warnings):
    (class_folder.parent / 'split.txt').write_text('cat/0.png\ndog/0.png\n')
    built = root_of(kind).build(dict(options_of(name, class_folder), type=prefix + name))
    assert type(built) is OURS[kind].module_dict[name]
    assert type(built).__name__ == name and type(built).__module__.startswith('clim_mm.')
    assert warnings == []


@pytest.mark.parametrize('kind, name', [('function', 'stack_collate'), ('model_wrapper', 'DeviceDDP')])
def test_it_is_found(kind, name, warnings):
    assert root_of(kind).get(f'clim_mm.{name}') is OURS[kind].module_dict[name]
    assert warnings == []


@pytest.mark.parametrize('kind', sorted(OURS))
def test_the_scope_has_the_registry_that_the_runner_asks(kind, warnings):
    with root_of(kind).switch_scope_and_registry(None) as found:
        assert found is OURS[kind]
    assert found.parent is root_of(kind) and found.scope == 'clim_mm'
    assert warnings == []
