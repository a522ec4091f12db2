"""Detectors from a real pretraining checkpoint, on generated data in the real formats, by the commands of the tools."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from detection_data import SHAPES, draw, write_all, write_coco
from lvis import LVIS, LVISEval, LVISResults
from pure_python_mmcv import write_pure_python_mmcv
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from clim_mm.transfer.lvis_numpy import let_lvis_run
from clim_mm.transfer.pretrained_part import weights_hash

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/benchmarks/mmdetection'
VOC = 'voc0712/faster-rcnn_r50-c4_ms-24k_voc0712'
C4, FPN = 'coco/mask-rcnn_r50-c4_ms-{}_coco', 'coco/mask-rcnn_r50-fpn_ms-{}_coco'
LVIS_CONFIG = 'lvis/mask-rcnn_r50-fpn_ms-2x_lvis-{}'
let_lvis_run()

# Small images, few boxes, two iterations of two images; whatever is found counts.
FAST = [
    'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False', 'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False', 'model.train_cfg.rpn_proposal.nms_pre=100',
    'model.train_cfg.rpn_proposal.max_per_img=16', 'model.train_cfg.rcnn.sampler.num=8',
    'model.test_cfg.rpn.nms_pre=50', 'model.test_cfg.rpn.max_per_img=8', 'model.test_cfg.rcnn.score_thr=0.0', 'model.test_cfg.rcnn.max_per_img=20',
    'default_hooks.logger.interval=1', 'default_hooks.visualization.draw=False',
    'val_dataloader.dataset.pipeline.1.scale=(96,80)', 'test_dataloader.dataset.pipeline.1.scale=(96,80)'
]


def fast(config):
    """The options that make a config small."""
    scales = 'scales=[(96,72),(96,80)]'
    if config.startswith('voc'):
        return [*FAST, 'train_cfg.max_iters=2', 'train_cfg.val_interval=2', *(
            f'train_dataloader.dataset.datasets.{year}.pipeline.3.{scales}' for year in (0, 1))]
    inner = 'dataset.dataset' if config.startswith('lvis') else 'dataset'
    return [*FAST, 'train_cfg.max_epochs=1', f'train_dataloader.{inner}.pipeline.2.{scales}']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with all data sets below data/, where the configs look for them."""
    root = tmp_path_factory.mktemp('detection')
    write_all(root / 'data', train=4, val=3)
    return root


@pytest.fixture(scope='module')
def pretrained(train, tmp_path_factory):
    """A real CLIM checkpoint of a ResNet-50."""
    work_dir = tmp_path_factory.mktemp('pretrained')
    result = train(work_dir, 1, options=['model.backbone.depth=50', 'model.neck.in_channels=2048',
                                         'train_dataloader.batch_size=32'])
    assert result.returncode == 0, result.stdout[-3000:]
    return work_dir / 'epoch_1.pth'


def command(data, *words, **variables):
    environment = dict(os.environ, OMP_NUM_THREADS='2', PYTHON=sys.executable, **variables)
    environment['PYTHONPATH'] = os.pathsep.join(
        [*filter(None, [variables.get('PYTHONPATH')]), str(ROOT), os.environ.get('PYTHONPATH', '')])
    return subprocess.run([str(word) for word in words], cwd=data, env=environment, text=True, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def train_detector(data, config, checkpoint, work_dir, *more, options=(), **variables):
    return command(data, sys.executable, ROOT / 'tools/benchmarks/train_det.py', FOLDER / f'{config}.py', checkpoint,
                   '--work-dir', work_dir, *more, '--cfg-options', *fast(config), *options, **variables)


def hash_of(checkpoint, prefix='backbone.'):
    state = torch.load(checkpoint, weights_only=False)
    weights = state.get('state_dict', state)
    return weights_hash({name.removeprefix(prefix): value for name, value in weights.items()
                         if name.startswith(prefix) and not name.startswith('fc.')})


def losses_of(work_dir):
    (scalars, ) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    return [line['loss'] for line in lines if 'loss' in line]


def read_back(data, work_dir, config):
    """The figures that the official evaluators make of the result files, by mmdet's names."""
    found = {}
    if config.startswith('voc'):
        truth = COCO(str(work_dir / 'results.gt.json'))
        assert sum(annotation['iscrowd'] for annotation in truth.anns.values()) == 2  # difficult
        kinds = ['bbox']
    else:
        version = config.partition('lvis-')[2]
        kinds = ['bbox', 'segm']
    for kind in kinds:
        file = str(work_dir / f'results.{kind}.json')
        if config.startswith('lvis'):
            truth = LVIS(str(data / f'data/lvis_{version}/annotations/lvis_{version}_val.json'))
            official = LVISEval(truth, LVISResults(truth, file), kind)
            official.run()
            found.update({f'lvis/{kind}_{name}': value for name, value in official.results.items()
                          if name in ('AP', 'AP50', 'AP75', 'APr', 'APc', 'APf')})
            continue
        if config.startswith('coco'):
            truth = COCO(str(data / 'data/coco/annotations/instances_val2017.json'))
        official = COCOeval(truth, truth.loadRes(file), kind)
        official.evaluate()
        official.accumulate()
        official.summarize()
        found.update({f'coco/{kind}_mAP': official.stats[0], f'coco/{kind}_mAP_50': official.stats[1]})
    return found


@pytest.mark.parametrize('config', [VOC, *(form.format(schedule) for form in (C4, FPN) for schedule in ('1x', '2x')),
                                    *(LVIS_CONFIG.format(version) for version in ('v0.5', 'v1'))])
def test_each_config_trains_and_evaluates(data, pretrained, tmp_path, config):
    result = train_detector(data, config, pretrained, tmp_path)
    assert result.returncode == 0, result.stdout[-3000:]
    losses = losses_of(tmp_path)
    assert len(losses) == 2 and all(math.isfinite(loss) and loss > 0 for loss in losses)
    shared = ', shared head included,' if '-c4_' in config else ''
    assert f'all 318 tensors of the backbone{shared} are those of {pretrained} (sha256 {hash_of(pretrained)})' in (
        result.stdout)
    assert 'no stage is frozen, all 159 weights of the backbone train' in result.stdout
    assert 'all 53 norms of the backbone train' in result.stdout
    assert 'normalised as in the pretraining (RGB, mean [123.675, 116.28, 103.53]' in result.stdout
    written = json.loads((tmp_path / 'figures.json').read_text())
    assert written['finished'] and written['iter'] == 2
    official = read_back(data, tmp_path, config)
    assert len(official) >= 2
    for name, value in official.items():
        assert written['figures'][name] == pytest.approx(value, abs=5e-4), name
    if config == VOC:
        assert {'pascal_voc/mAP', 'pascal_voc/AP50', 'pascal_voc/AP75'} <= set(written['figures'])


@pytest.mark.parametrize('config', [VOC, FPN.format('1x')])
def test_the_random_rows(data, tmp_path, config):
    result = train_detector(data, f'{config}_random', 'none', tmp_path)
    assert result.returncode == 0, result.stdout[-3000:]
    assert 'all 318 tensors of the backbone are initialised at random' in result.stdout
    assert all(math.isfinite(loss) for loss in losses_of(tmp_path))


@pytest.mark.parametrize('config', [C4.format('2x'), LVIS_CONFIG.format('v0.5')])
def test_the_supervised_rows(data, tmp_path, config):
    from torchvision.models import resnet50

    torch.manual_seed(0)
    torch.save(resnet50(weights=None).state_dict(), tmp_path / 'resnet50.pth')
    result = train_detector(data, f'{config}_supervised', tmp_path / 'resnet50.pth', tmp_path / 'work')
    assert result.returncode == 0, result.stdout[-3000:]
    assert f'{tmp_path}/resnet50.pth (sha256 {hash_of(tmp_path / "resnet50.pth", "")})' in result.stdout


def test_two_processes_and_the_test_command(data, pretrained, tmp_path, free_port):
    config = FPN.format('1x')
    result = command(data, 'bash', ROOT / 'tools/benchmarks/dist_train_det.sh', FOLDER / f'{config}.py', pretrained, 2,
                     '--work-dir', tmp_path, '--seed', 3, '--cfg-options', *fast(config), PORT=free_port())
    assert result.returncode == 0, result.stdout[-3000:]
    assert 'batch normalisation is not synchronised over processes (SyncBN becomes BN)' in result.stdout
    assert 'since torch synchronises them on GPUs alone' in result.stdout
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['seed'] == 3
    again = command(data, 'bash', ROOT / 'tools/benchmarks/dist_test_det.sh', FOLDER / f'{config}.py',
                    tmp_path / 'epoch_1.pth', 2, '--cfg-options', *fast(config), PORT=free_port())
    assert again.returncode == 0, again.stdout[-3000:]
    assert json.loads((tmp_path / 'test/figures.json').read_text())['figures'] == figures['figures']
    wrong = command(data, sys.executable, ROOT / 'tools/benchmarks/test_det.py', FOLDER / f'{config}.py', pretrained,
                    '--work-dir', tmp_path / 'wrong')
    assert wrong.returncode == 1 and 'is not a checkpoint of this config\'s detector' in wrong.stdout


def test_a_detector_needs_no_mmselfsup(data, pretrained, tmp_path):
    config = FPN.format('1x')
    program = ROOT / 'tools/benchmarks/train_det.py'
    words = ['train_det.py', FOLDER / f'{config}.py', pretrained, '--work-dir', tmp_path, '--cfg-options',
             *fast(config)]
    code = (f'import runpy, sys\nsys.argv = {[str(word) for word in words]!r}\n'
            f'runpy.run_path({str(program)!r}, run_name="__main__")\n'
            'print("host:", sorted({"mmselfsup", "mmcls"} & set(sys.modules)), "mmdet" in sys.modules)')
    result = command(data, sys.executable, '-c', code)
    assert result.stdout.splitlines()[-1] == 'host: [] True', result.stdout[-3000:]


def test_trials(data, pretrained, tmp_path, free_port):
    config = FPN.format('1x')
    words = [sys.executable, ROOT / 'tools/benchmarks/trials_det.py', FOLDER / f'{config}.py', pretrained, 1,
             '--trials', 2, '--work-dir', tmp_path, '--cfg-options', *fast(config)]
    result = command(data, *words, PORT=free_port())
    assert result.returncode == 0, result.stdout[-3000:]
    table = (tmp_path / 'trials.md').read_text()
    assert '| **mask-rcnn_r50-fpn_ms-1x_coco** | 2 |' in table and 'coco/bbox_mAP' in table
    figures = [json.loads((tmp_path / f'seed_{seed}/figures.json').read_text()) for seed in (0, 1)]
    assert [trial['seed'] for trial in figures] == [0, 1] and losses_of(tmp_path / 'seed_0') != losses_of(
        tmp_path / 'seed_1')
    again = command(data, *words)
    assert again.returncode == 0 and 'Epoch(train)' not in again.stdout, 'nothing is trained again'
    assert (tmp_path / 'trials.md').read_text() == table


def sentence_of(result):
    assert result.returncode == 1 and 'Traceback' not in result.stdout and 'Epoch(train)' not in result.stdout, (
        result.stdout[-3000:])
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: '), result.stdout[-3000:]
    return last


def test_a_machine_without_the_operators(data, pretrained, tmp_path):
    write_pure_python_mmcv(tmp_path / 'front')
    result = train_detector(data, VOC, pretrained, tmp_path / 'work', PYTHONPATH=str(tmp_path / 'front'))
    assert 'mmcv has none' in sentence_of(result) and 'tools/setup_det.sh' in result.stdout


def test_wrong_checkpoints_and_annotations(data, pretrained, tmp_path):
    loaded = torch.load(pretrained, weights_only=False)
    weights = loaded['state_dict']
    torch.save(dict(loaded, state_dict={name: value for name, value in weights.items()
                                        if not name.startswith('backbone.')}), tmp_path / 'headless.pth')
    (tmp_path / 'cut.pth').write_bytes(pretrained.read_bytes()[:1_000_000])
    for checkpoint, words in [('headless.pth', 'has no backbone'), ('cut.pth', 'cut.pth')]:
        assert words in sentence_of(train_detector(data, VOC, tmp_path / checkpoint, tmp_path / 'work'))
    assert 'the detector has a ResNet-101' in sentence_of(train_detector(
        data, FPN.format('1x'), pretrained, tmp_path / 'work', options=['model.backbone.depth=101']))
    frozen = train_detector(data, FPN.format('1x'), pretrained, tmp_path / 'work',
                            options=['model.backbone.frozen_stages=2'])
    assert 'weights are frozen (first conv1.weight)' in sentence_of(frozen)
    still = train_detector(data, C4.format('1x'), pretrained, tmp_path / 'work',
                           options=['model.roi_head.shared_head.norm_eval=True'])
    assert 'norms keep the pretraining\'s statistics (first layer4.0.bn1)' in sentence_of(still)
    for version, other in (('v0.5', 'v1'), ('v1', 'v0.5')):
        wrong = data / f'data/lvis_{other}'
        ann_file = wrong / f'annotations/lvis_{other}_train.json'
        result = train_detector(data, LVIS_CONFIG.format(version), pretrained, tmp_path / 'work',
                                options=[f'train_dataloader.dataset.dataset.ann_file={ann_file}'])
        assert f'is LVIS {other}' in sentence_of(result) and f'the config is for {version}' in result.stdout


def test_a_slim_detector_overfits(data, train, tmp_path):
    """It starts from its pretraining's weights, and learns a dozen pictures by heart."""
    pretrained = train(tmp_path / 'pretraining', 1, options=[
        'model.backbone.stem_channels=8', 'model.backbone.base_channels=8', 'model.neck.in_channels=64'])
    assert pretrained.returncode == 0, pretrained.stdout[-3000:]
    checkpoint = tmp_path / 'pretraining/epoch_1.pth'
    write_coco(tmp_path / 'data/coco', dict(train2017=draw(12, size=(96, 96), most=2)), SHAPES, places=(0, 1, 2))
    result = command(tmp_path, sys.executable, ROOT / 'tools/benchmarks/train_det.py',
                     ROOT / 'tests/detection_shapes.py', checkpoint, '--work-dir', tmp_path / 'work', '--seed', 0)
    assert result.returncode == 0, result.stdout[-3000:]
    (shown, ) = re.findall(r'are those of \S+ \(sha256 (\w+)\)', result.stdout)
    assert shown == hash_of(checkpoint)
    before, after = losses_of(tmp_path / 'work')[0], losses_of(tmp_path / 'work')[-1]
    figures = json.loads((tmp_path / 'work/figures.json').read_text())['figures']
    assert after < before / 2 and figures['coco/bbox_mAP_50'] > 0.5, (before, after, figures)
