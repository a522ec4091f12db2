"""Every detection config is what its name says, and follows the one protocol."""

import copy
import re
from functools import lru_cache
from pathlib import Path

import pytest
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from clim_mm.errors import DataError
from clim_mm.transfer.detector_checks import check_annotations
from clim_mm.transfer.detector_config import Start, start_from

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / 'configs/benchmarks/mmdetection'
CONFIGS = sorted(path for path in FOLDER.rglob('*.py') if '_base_' not in path.parts)
NAME = re.compile(r'(?P<model>faster|mask)-rcnn_r(?P<depth>\d+)-(?P<neck>c4|fpn)_ms-(?P<schedule>1x|2x|24k)_'
                  r'(?P<data>voc0712|coco|lvis-v0\.5|lvis-v1)')
FORM = 'MODEL-rcnn_rDEPTH-NECK_ms-SCHEDULE_DATA'
CLASSES = {'voc0712': 20, 'coco': 80, 'lvis-v0.5': 1230, 'lvis-v1': 1203}
ROOTS = {'voc0712': 'data/VOCdevkit/', 'coco': 'data/coco/', 'lvis-v0.5': 'data/lvis_v0.5/',
         'lvis-v1': 'data/lvis_v1/'}


def named(path):
    name = NAME.fullmatch(path.stem)
    assert name, f'{path.stem} is not {FORM}'
    return name


@lru_cache
def load(path):
    return Config.fromfile(path)


def each(paths):
    return pytest.mark.parametrize('path', paths, ids=[path.stem for path in paths])


def sources(loader):
    """The data sets at the bottom."""
    dataset = loader.dataset
    if dataset.type == 'ConcatDataset':
        return list(dataset.datasets)
    return [dataset.dataset if dataset.type == 'ClassBalancedDataset' else dataset]


def test_all_that_the_paper_has_are_there():
    assert {path.stem for path in CONFIGS} == {
        'faster-rcnn_r50-c4_ms-24k_voc0712', 'mask-rcnn_r50-c4_ms-1x_coco', 'mask-rcnn_r50-c4_ms-2x_coco',
        'mask-rcnn_r50-fpn_ms-1x_coco', 'mask-rcnn_r50-fpn_ms-2x_coco', 'mask-rcnn_r50-fpn_ms-2x_lvis-v0.5',
        'mask-rcnn_r50-fpn_ms-2x_lvis-v1'}


@each(CONFIGS)
def test_the_name_says_what_is_in_it(path):
    name, cfg = named(path), load(path)
    assert path.parent.name == name['data'].partition('-')[0]
    assert cfg.model.type == dict(faster='FasterRCNN', mask='MaskRCNN')[name['model']]
    assert cfg.model.backbone.depth == int(name['depth'])
    assert cfg.model.backbone.num_stages == dict(c4=3, fpn=4)[name['neck']]
    assert ('neck' in cfg.model) == (name['neck'] == 'fpn')
    assert cfg.model.roi_head.bbox_head.num_classes == CLASSES[name['data']]
    assert cfg.model.roi_head.get('mask_head', dict(num_classes=CLASSES[name['data']])).get(
        'num_classes') == CLASSES[name['data']]
    assert cfg.custom_hooks == [dict(type='TransferPreflightHook', start='pretraining')]
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for source in sources(loader):
            assert source.data_root == ROOTS[name['data']]
            assert len(DATASETS.get(source.type).METAINFO['classes']) == CLASSES[name['data']]
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.type, warm_up.by_epoch, steps.type, steps.gamma) == ('LinearLR', False, 'MultiStepLR', 0.1)
    if name['schedule'] == '24k':
        assert (cfg.train_cfg.type, cfg.train_cfg.max_iters) == ('IterBasedTrainLoop', 24000)
        assert steps.milestones == [18000, 22000] and not steps.by_epoch and warm_up.end == 100
        assert not cfg.log_processor.by_epoch and not cfg.default_hooks.checkpoint.by_epoch
    else:
        epochs = {'1x': 12, '2x': 24}[name['schedule']]
        assert (cfg.train_cfg.type, cfg.train_cfg.max_epochs) == ('EpochBasedTrainLoop', epochs)
        assert steps.milestones == {12: [8, 11], 24: [16, 22]}[epochs] and steps.by_epoch and warm_up.end == 1000
    assert steps.end == cfg.train_cfg.get('max_epochs', cfg.train_cfg.get('max_iters'))


@each(CONFIGS)
def test_the_protocol(path):
    cfg = load(path)
    backbone = cfg.model.backbone
    parts = [backbone, *([cfg.model.neck] if 'neck' in cfg.model else []), *(
        part for name, part in cfg.model.roi_head.items() if name in ('shared_head', 'bbox_head', 'mask_head')
        and 'norm_cfg' in part)]
    assert len(parts) == (4 if 'neck' in cfg.model else 2)
    for part in parts:
        assert (part.norm_cfg.type, part.norm_cfg.requires_grad) == ('SyncBN', True)
    for part in (backbone, cfg.model.roi_head.get('shared_head', backbone)):
        assert part.norm_eval is False and part.style == 'pytorch' and part.init_cfg is None
    assert backbone.frozen_stages == -1
    preprocessor = cfg.model.data_preprocessor
    assert (preprocessor.mean, preprocessor.std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert preprocessor.bgr_to_rgb
    assert cfg.train_dataloader.batch_size == 2 and cfg.optim_wrapper.optimizer.lr == 0.02
    assert cfg.optim_wrapper.paramwise_cfg.norm_decay_mult == 0
    for source in sources(cfg.train_dataloader):
        (resize, ) = [step for step in source.pipeline if step.type == 'RandomChoiceResize']
        shortest = 480 if named(path)['data'] == 'voc0712' else 640
        assert [tuple(scale) for scale in resize.scales] == [(1333, side) for side in range(shortest, 801, 32)]
        assert not [step for step in source.pipeline if step.type == 'Resize']


def test_the_rows_differ_in_what_they_start_from_alone():
    for path in CONFIGS:
        own = load(path).to_dict()
        for start in (Start('supervised', 'resnet50.pth'), Start('random')):
            changed = copy.deepcopy(load(path))
            start_from(changed, start)
            other = changed.to_dict()
            assert other.pop('custom_hooks') == [dict(type='TransferPreflightHook', start=start.kind)]
            for part in (other['model']['backbone'], other['model']['roi_head'].get('shared_head', {})):
                if part and start.checkpoint:
                    assert part['init_cfg'].pop('checkpoint') == 'backbone://resnet50.pth'
                    part['init_cfg'] = None
            assert other == {name: value for name, value in own.items() if name != 'custom_hooks'}


@pytest.mark.parametrize('neck', ['c4', 'fpn'])
def test_the_schedules_differ_in_their_lengths_alone(neck):
    """A config of the 2x schedule is executed as that of the 1x one."""
    short, long = (load(FOLDER / f'coco/mask-rcnn_r50-{neck}_ms-{times}x_coco.py').to_dict() for times in (1, 2))
    for cfg, epochs in ((short, 12), (long, 24)):
        assert cfg['train_cfg'].pop('max_epochs') == epochs
        assert cfg['param_scheduler'][1].pop('end') == epochs
        cfg['param_scheduler'][1].pop('milestones')
    assert short == long


def test_the_protocol_is_mmselfsups():
    """Its own configs have the same settings of the model."""
    import mmselfsup
    theirs_at = Path(mmselfsup.__file__).parent / '.mim/configs/benchmarks/mmdetection'
    for ours, theirs in [('voc0712/faster-rcnn_r50-c4_ms-24k_voc0712.py', ) * 2,
                         ('coco/mask-rcnn_r50-c4_ms-2x_coco.py', ) * 2,
                         ('coco/mask-rcnn_r50-fpn_ms-1x_coco.py', 'coco/mask-rcnn_r50_fpn_ms-1x_coco.py')]:
        a = load(FOLDER / ours).model.to_dict()
        b = load(theirs_at / theirs).model.to_dict()
        for model in (a, b):
            model['backbone'].pop('init_cfg')
            model.pop('data_preprocessor')  # theirs stands beside the C4 models, where their base's own wins
            model['roi_head'].get('shared_head', {}).pop('init_cfg', None)
        if 'shared_head' in a['roi_head']:
            assert a['roi_head']['shared_head'].pop('type') == 'NormedResLayer'
            assert b['roi_head']['shared_head'].pop('type') == 'ResLayerExtraNorm'
        assert without_scopes(a) == without_scopes(b)


def without_scopes(value):
    if isinstance(value, dict):
        return {name: without_scopes(inner) for name, inner in value.items() if name != '_scope_'}
    return [without_scopes(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def test_voc_is_evaluated_as_moco_reports_it():
    voc, coco = load(FOLDER / 'voc0712/faster-rcnn_r50-c4_ms-24k_voc0712.py').val_evaluator
    assert (voc.type, voc.eval_mode, coco.type) == ('VOCMetric', '11points', 'CocoMetric')
    assert voc.iou_thrs == pytest.approx([0.5 + 0.05 * step for step in range(10)])


def test_lvis_counts_300_detections():
    for version in ('v0.5', 'v1'):
        cfg = load(FOLDER / f'lvis/mask-rcnn_r50-fpn_ms-2x_lvis-{version}.py')
        assert dict(cfg.model.test_cfg.rcnn)['max_per_img'] == 300 and cfg.model.test_cfg.rcnn.score_thr == 1e-4
        assert cfg.val_evaluator.type == 'LVISMetric' and cfg.val_evaluator.metric == ['bbox', 'segm']
        assert version in cfg.val_evaluator.ann_file and cfg.train_dataloader.dataset.oversample_thr == 1e-3


@each(CONFIGS)
def test_the_detector_builds(path):
    cfg = load(path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(copy.deepcopy(cfg.model))
    assert type(model).__name__ == cfg.model.type
    if named(path)['neck'] == 'c4':
        assert model.roi_head.shared_head.norm.num_features == 2048


@each(CONFIGS)
def test_data_that_is_not_there_is_told_with_its_place(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f'the annotations {ROOTS[named(path)["data"]]}.* docs/detection.md'):
        check_annotations(load(path), 'train', 'val')
