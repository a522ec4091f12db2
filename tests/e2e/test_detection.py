"""Detectors from a real pretraining checkpoint, on generated data in the real formats, by the commands of the tools."""

import json
import math
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from detection_data import SHAPES, draw, write_all, write_coco
from lvis import LVIS, LVISEval, LVISResults
from pure_python_mmcv import write_pure_python_mmcv
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.models import resnet50

from clim_mm.checkpoints.weights_hash import weights_sha256
from clim_mm.transfer.lvis_numpy import let_lvis_run

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/benchmarks/mmdetection'
VOC = 'voc0712/faster-rcnn_r50-c4_ms-24k_voc0712'
C4, FPN = 'coco/mask-rcnn_r50-c4_ms-{}_coco', 'coco/mask-rcnn_r50-fpn_ms-{}_coco'
LVIS_CONFIG = 'lvis/mask-rcnn_r50-fpn_ms-2x_lvis-{}'
CONFIGS = [VOC, *(form.format(schedule) for form in (C4, FPN) for schedule in ('1x', '2x')),
           *(LVIS_CONFIG.format(version) for version in ('v0.5', 'v1'))]
ROWS = [f'{config}_{row}' for config in CONFIGS for row in ('supervised', 'random')]
TRAIN = ROOT / 'tools/benchmarks/train_det.py'
SLIM_CONFIG = ROOT / 'tests/detection_shapes.py'
let_lvis_run()

# Small images, few boxes, two iterations of two images; whatever is found counts.
FAST = [
    'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False', 'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False', 'model.train_cfg.rpn_proposal.nms_pre=100',
    'model.train_cfg.rpn_proposal.max_per_img=16', 'model.train_cfg.rcnn.sampler.num=8',
    'model.test_cfg.rpn.nms_pre=50', 'model.test_cfg.rpn.max_per_img=8', 'model.test_cfg.rcnn.score_thr=0.0',
    'model.test_cfg.rcnn.max_per_img=20',
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
    result = train(work_dir, 1, options=[
        'model.backbone.depth=50', 'model.neck.in_channels=2048', 'train_dataloader.batch_size=64',
        'train_dataloader.dataset.pipeline.0.view.0.resolutions=(32,24)', 'custom_hooks.0.extract.pipeline.1.scale=40',
        'custom_hooks.0.extract.pipeline.2.crop_size=32'])
    assert result.returncode == 0, result.stdout[-3000:]
    return work_dir / 'epoch_1.pth'


@pytest.fixture(scope='module')
def slim(train, tmp_path_factory):
    """A real CLIM checkpoint of a ResNet-18 with an eighth of the channels."""
    work_dir = tmp_path_factory.mktemp('slim')
    result = train(work_dir, 1, options=[
        'model.backbone.stem_channels=8', 'model.backbone.base_channels=8', 'model.neck.in_channels=64'])
    assert result.returncode == 0, result.stdout[-3000:]
    return work_dir / 'epoch_1.pth'


def command(data, *words, **variables):
    environment = dict(os.environ, **{'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable, **variables})
    environment['PYTHONPATH'] = os.pathsep.join(
        [*filter(None, [variables.get('PYTHONPATH')]), str(ROOT), os.environ.get('PYTHONPATH', '')])
    return subprocess.run([str(word) for word in words], cwd=data, env=environment, text=True, timeout=1800,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def train_words(config, checkpoint, work_dir, options=()):
    """The arguments of the training command."""
    # MMEngine keeps visualizers by their names: with one name all runs of a process would write to the first's folder.
    words = [FOLDER / f'{config}.py', checkpoint, '--work-dir', work_dir, '--cfg-options', *fast(config),
             f'visualizer.name={Path(work_dir).name}', *options]
    return [str(word) for word in words]


def train_in_turn(data, runs, file):
    """Train with each of the lists of arguments; give what each has ended with, and the output."""
    file.write_text(json.dumps(runs))
    result = command(data, sys.executable, ROOT / 'tests/command_runs.py', TRAIN, file)
    assert result.returncode == 0, result.stdout[-3000:]
    return json.loads(file.with_suffix('.ends.json').read_text()), result.stdout


@pytest.fixture(scope='module')
def trained(data, pretrained, tmp_path_factory):
    """Every config and every row, trained for two iterations: ends and work dirs by config, and outputs."""
    root = tmp_path_factory.mktemp('trained')
    torch.manual_seed(0)
    torch.save(resnet50(weights=None).state_dict(), root / 'resnet50.pth')
    starts = {config: pretrained for config in CONFIGS} | {
        config: 'none' if config.endswith('_random') else root / 'resnet50.pth' for config in ROWS}
    work_dirs = {config: root / config.replace('/', '_') for config in starts}
    halves = list(starts)[::2], list(starts)[1::2]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda half: train_in_turn(
            data, [train_words(config, starts[config], work_dirs[config]) for config in halves[half]],
            root / f'runs{half}.json'), (0, 1)))
    ends = {config: end for half, (found, _) in zip(halves, done, strict=True)
            for config, end in zip(half, found, strict=True)}
    return ends, work_dirs, starts, [output for _, output in done]


def hash_of(checkpoint, prefix='backbone.'):
    state = torch.load(checkpoint, weights_only=False)
    weights = state.get('state_dict', state)
    return weights_sha256({name.removeprefix(prefix): value for name, value in weights.items()
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
        version = config.partition('lvis-')[2].partition('_')[0]
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


def log_of(work_dir):
    (log, ) = work_dir.glob('*/*.log')
    return log.read_text()


@pytest.mark.parametrize('config', [*CONFIGS, *ROWS])
def test_each_config_trains_and_evaluates(data, trained, config):
    ends, work_dirs, starts, _ = trained
    assert ends[config] is None, ends[config]
    losses = losses_of(work_dirs[config])
    assert len(losses) == 2 and all(math.isfinite(loss) and loss > 0 for loss in losses)
    log, start = log_of(work_dirs[config]), starts[config]
    shared = ', shared head included,' if '-c4_' in config else ''
    if start == 'none':
        assert 'all 318 tensors of the backbone are initialised at random' in log
    else:
        digest = hash_of(start, '' if 'supervised' in config else 'backbone.')
        assert f'all 318 tensors of the backbone{shared} are those of {start} (sha256 {digest})' in log
        assert 'normalised as in the pretraining (RGB, mean [123.675, 116.28, 103.53]' in log
    assert 'no stage is frozen, all 159 weights of the backbone train' in log
    assert 'all 53 norms of the backbone train, unsynchronised, since there is one process' in log
    written = json.loads((work_dirs[config] / 'figures.json').read_text())
    assert written['finished'] and written['iter'] == 2
    official = read_back(data, work_dirs[config], config)
    assert len(official) >= 2
    for name, value in official.items():
        assert written['figures'][name] == pytest.approx(value, abs=5e-4), name
    if config.startswith(VOC):
        assert {'pascal_voc/mAP', 'pascal_voc/AP50', 'pascal_voc/AP75'} <= set(written['figures'])


def test_a_detector_needs_no_mmselfsup(trained):
    for output in trained[3]:
        assert output.splitlines()[-1] == 'of MMSelfSup: [] mmdet: True'


def test_bad_input_ends_in_a_sentence_before_any_training(data, pretrained, tmp_path):
    loaded = torch.load(pretrained, weights_only=False)
    weights = loaded['state_dict']
    torch.save(dict(loaded, state_dict={name: value for name, value in weights.items()
                                        if not name.startswith('backbone.')}), tmp_path / 'headless.pth')
    (tmp_path / 'cut.pth').write_bytes(pretrained.read_bytes()[:1_000_000])
    first = FPN.format('1x')
    cases = [
        (VOC, tmp_path / 'headless.pth', [], 'has no backbone'), (VOC, tmp_path / 'cut.pth', [], 'cut.pth'),
        (first, pretrained, ['model.backbone.depth=101'], 'the detector has a ResNet-101'),
        (first, pretrained, ['model.backbone.frozen_stages=2'], 'weights are frozen (first conv1.weight)'),
        (C4.format('1x'), pretrained, ['model.roi_head.shared_head.norm_eval=True'],
         'norms keep the pretraining\'s statistics (first layer4.0.bn1)'),
        (first, pretrained, ['train_dataloader.dataset.data_prefix.img=nowhere'], 'images that data/coco'),
        (f'{first}_random', pretrained, [], 'give the word none')]
    for version, other in (('v0.5', 'v1'), ('v1', 'v0.5')):
        ann_file = data / f'data/lvis_{other}/annotations/lvis_{other}_train.json'
        cases.append((LVIS_CONFIG.format(version), pretrained,
                      [f'train_dataloader.dataset.dataset.ann_file={ann_file}'], f'is LVIS {other} ('))
    runs = [train_words(config, checkpoint, tmp_path / 'work', options) for config, checkpoint, options, _ in cases]
    ends, output = train_in_turn(data, runs, tmp_path / 'bad.json')
    for end, (config, _, _, words) in zip(ends, cases, strict=True):
        assert end is not None and end.startswith('Error: ') and words in end and '\n' not in end, (config, end)
    assert 'Traceback' not in output and '(train)' not in output


def test_a_machine_without_the_operators(data, tmp_path):
    write_pure_python_mmcv(tmp_path)
    result = command(data, sys.executable, TRAIN, FOLDER / f'{VOC}.py', 'none', PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: ') and 'mmcv has none' in last and 'tools/setup_det.sh' in last


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """A folder with a dozen pictures of shapes below data/coco, each with one object or two."""
    root = tmp_path_factory.mktemp('shapes')
    write_coco(root / 'data/coco', dict(train2017=draw(12, size=(96, 96), most=2)), SHAPES, places=(0, 1, 2))
    return root


def test_trials_in_two_processes_and_the_test_command(shapes, slim, tmp_path, free_port):
    short = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1',
             'default_hooks.logger.interval=1', 'model.test_cfg.rcnn.score_thr=0.0']
    words = [sys.executable, ROOT / 'tools/benchmarks/trials_det.py', SLIM_CONFIG, slim, 2, '--trials', 2, '--work-dir',
             tmp_path, '--cfg-options', *short]
    result = command(shapes, *words, PORT=free_port())
    assert result.returncode == 0, result.stdout[-3000:]
    assert 'batch normalisation is not synchronised over processes (SyncBN becomes BN)' in result.stdout
    assert 'since torch synchronises them on GPUs alone' in result.stdout
    table = (tmp_path / 'trials.md').read_text()
    assert '| **detection_shapes** | 2 |' in table and 'coco/segm_mAP' in table
    figures = [json.loads((tmp_path / f'seed_{seed}/figures.json').read_text()) for seed in (0, 1)]
    assert [trial['seed'] for trial in figures] == [0, 1]
    assert losses_of(tmp_path / 'seed_0') != losses_of(tmp_path / 'seed_1')
    again = command(shapes, *words)
    assert again.returncode == 0 and '(train)' not in again.stdout, 'nothing is trained again'
    assert (tmp_path / 'trials.md').read_text() == table

    tested = command(shapes, 'bash', ROOT / 'tools/benchmarks/dist_test_det.sh', SLIM_CONFIG,
                     tmp_path / 'seed_0/epoch_1.pth', 2, '--cfg-options', *short, PORT=free_port())
    assert tested.returncode == 0, tested.stdout[-3000:]
    written = json.loads((tmp_path / 'seed_0/test/figures.json').read_text())
    alone = command(shapes, sys.executable, ROOT / 'tools/benchmarks/test_det.py', SLIM_CONFIG,
                    tmp_path / 'seed_0/epoch_1.pth', '--work-dir', tmp_path / 'alone', '--cfg-options', *short)
    assert alone.returncode == 0, alone.stdout[-3000:]
    assert json.loads((tmp_path / 'alone/figures.json').read_text()) == written
    # In training each process has validated with batch statistics of its own.
    assert written['figures'].keys() == figures[0]['figures'].keys()
    wrong = command(shapes, sys.executable, ROOT / 'tools/benchmarks/test_det.py', SLIM_CONFIG, slim, '--work-dir',
                    tmp_path / 'wrong')
    assert wrong.returncode == 1 and 'is not a checkpoint of this config\'s detector' in wrong.stdout


def test_a_slim_detector_overfits(shapes, slim, tmp_path):
    """It starts from its pretraining's weights, and learns a dozen pictures by heart."""
    result = command(shapes, sys.executable, TRAIN, SLIM_CONFIG, slim, '--work-dir', tmp_path, '--seed', 0)
    assert result.returncode == 0, result.stdout[-3000:]
    (shown, ) = re.findall(r'are those of \S+ \(sha256 (\w+)\)', result.stdout)
    assert shown == hash_of(slim)
    losses = losses_of(tmp_path)
    figures = json.loads((tmp_path / 'figures.json').read_text())['figures']
    assert losses[-1] < losses[0] / 2 and figures['coco/bbox_mAP_50'] > 0.5, (losses, figures)
