"""Detectors from a real pretraining checkpoint, on generated data in the real formats, by the commands of the tools."""

import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch
from detection_data import SHAPES, draw, write_all, write_coco
from lvis import LVIS, LVISEval, LVISResults
from mmengine.config import Config
from mmengine.registry import DefaultScope
from pure_python_mmcv import write_pure_python_mmcv
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.models import resnet50
from trained import ROOT

from clim_mm.checkpoints.weights import weights_sha256
from clim_mm.registry import MODELS
from clim_mm.transfer.mmdet_parts import let_lvis_run

pytestmark = pytest.mark.e2e
FOLDER = ROOT / 'configs/benchmarks/mmdetection'
VOC = 'voc0712/faster-rcnn_r50-c4_ms-24k_voc0712'
C4, FPN = 'coco/mask-rcnn_r50-c4_ms-1x_coco', 'coco/mask-rcnn_r50-fpn_ms-1x_coco'
LVIS_CONFIG = 'lvis/mask-rcnn_r50-fpn_ms-2x_lvis-{}'
# Each that is executed otherwise; test_detection_configs.py compares the others with them.
ROWS = [*((config, 'pretraining') for config in (VOC, C4, FPN, LVIS_CONFIG.format('v0.5'), LVIS_CONFIG.format('v1'))),
        (C4, 'supervised'), (FPN, 'random'), (FPN, 'hsa')]
TRAIN = 'tools/benchmarks/train_det.py'
SLIM_CONFIG = Path(__file__).parent / 'detection_shapes.py'
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
def pretrained(trained):
    """A real CLIM checkpoint of a ResNet-50."""
    return trained('resnet50').checkpoint()


@pytest.fixture(scope='module')
def slim(trained):
    """A real CLIM checkpoint of a ResNet-18 with an eighth of the channels."""
    return trained('small').checkpoint()


@pytest.fixture
def start_of(pretrained, tmp_path):
    """A checkpoint for a row, None for none: ``start_of(kind)``."""

    def start(kind):
        if kind == 'hsa':  # whose backbone gives two stages, and which has two necks
            cfg = Config.fromfile(ROOT / 'configs/hsa/hsa_r50_8xb32-200e_in1k.py')
            cfg.model.queue_len = 8
            with DefaultScope.overwrite_default_scope('clim_mm'):
                weights = MODELS.build(cfg.model).state_dict()
            torch.save(dict(state_dict=weights, meta=dict(epoch=1, cfg=cfg.pretty_text)), tmp_path / 'hsa.pth')
            return tmp_path / 'hsa.pth'
        if kind != 'supervised':
            return pretrained if kind == 'pretraining' else None
        torch.manual_seed(0)
        torch.save(resnet50(weights=None).state_dict(), tmp_path / 'resnet50.pth')
        return tmp_path / 'resnet50.pth'

    return start


def train_words(config, checkpoint, work_dir, options=(), kind='pretraining'):
    """The arguments of the training command."""
    named = ['--start', kind] if kind in ('supervised', 'random') else []
    start = [*([] if checkpoint is None else [checkpoint]), *named]
    return [FOLDER / f'{config}.py', *start, '--work-dir', work_dir, '--cfg-options', *fast(config), *options]


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


@pytest.mark.parametrize('config, kind', ROWS)
def test_each_config_trains_and_evaluates(run, data, start_of, config, kind, tmp_path):
    start, work_dir = start_of(kind), tmp_path / 'work'
    result = run(TRAIN, *train_words(config, start, work_dir, kind=kind), folder=data)
    assert result.returncode == 0, result.stdout[-3000:]
    losses = losses_of(work_dir)
    assert len(losses) == 2 and all(math.isfinite(loss) and loss > 0 for loss in losses)
    log = log_of(work_dir)
    shared = ', shared head included,' if '-c4_' in config else ''
    if start is None:
        assert 'all 318 tensors of the backbone are initialised at random' in log
    else:
        digest = hash_of(start, '' if kind == 'supervised' else 'backbone.')
        assert f'all 318 tensors of the backbone{shared} are those of {start} (sha256 {digest})' in log
        assert 'normalised as in the pretraining (RGB, mean [123.675, 116.28, 103.53]' in log
    assert 'no stage is frozen, all 159 weights of the backbone train' in log
    assert 'all 53 norms of the backbone train, unsynchronised.' in log
    written = json.loads((work_dir / 'figures.json').read_text())
    assert written['finished'] and written['iter'] == 2
    official = read_back(data, work_dir, config)
    assert len(official) >= 2
    for name, value in official.items():
        assert written['figures'][name] == pytest.approx(value, abs=5e-4), name
    if config.startswith(VOC):
        assert {'pascal_voc/mAP', 'pascal_voc/AP50', 'pascal_voc/AP75'} <= set(written['figures'])


WHAT_IS_IMPORTED = """
import runpy, sys
sys.argv[:2] = [sys.argv[1]]
sys.path.insert(0, {folder!r})
runpy.run_path(sys.argv[0], run_name='__main__')
print(sorted({{'mmselfsup', 'mmcls', 'mmdet'}} & set(sys.modules)))
"""


def test_a_detector_needs_no_mmselfsup(shell, data, tmp_path):
    code = WHAT_IS_IMPORTED.format(folder=str((ROOT / TRAIN).parent))
    result = shell(sys.executable, '-c', code, ROOT / TRAIN, *train_words(FPN, None, tmp_path, kind='random'),
                   folder=data)
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "['mmdet']", result.stdout[-3000:]


LVIS_FILE = 'train_dataloader.dataset.dataset.ann_file={{data}}/data/lvis_{0}/annotations/lvis_{0}_train.json'


@pytest.mark.parametrize('config, prepare, options, words', [
    (VOC, 'headless.pth', [], 'has no backbone'),
    (VOC, 'cut.pth', [], 'cut.pth'),
    (FPN, None, ['model.backbone.depth=101'], 'missing: layer3.6.conv1.weight'),
    (FPN, None, ['model.backbone.frozen_stages=2'], 'weights are frozen (first conv1.weight)'),
    (C4, None, ['model.roi_head.shared_head.norm_eval=True'],
     'norms keep the pretraining\'s statistics (first layer4.0.bn1)'),
    (FPN, None, ['train_dataloader.dataset.data_prefix.img=nowhere'], 'images of data/coco'),
    (LVIS_CONFIG.format('v0.5'), None, [LVIS_FILE.format('v1')],
     'LVISV05Dataset cannot read the annotations'),
    (LVIS_CONFIG.format('v1'), None, [LVIS_FILE.format('v0.5')], '1230 categories for the 1203 classes of LVIS'),
])
def test_bad_input_ends_in_a_sentence_before_any_training(
        run, data, pretrained, tmp_path, config, prepare, options, words):
    checkpoint = pretrained if prepare is None else tmp_path / prepare
    if prepare == 'headless.pth':
        loaded = torch.load(pretrained, weights_only=False)
        weights = loaded['state_dict']
        torch.save(dict(loaded, state_dict={name: value for name, value in weights.items()
                                            if not name.startswith('backbone.')}), checkpoint)
    elif prepare == 'cut.pth':
        checkpoint.write_bytes(pretrained.read_bytes()[:1_000_000])
    options = [option.format(data=data) for option in options]
    result = run(TRAIN, *train_words(config, checkpoint, tmp_path / 'work', options), folder=data)
    assert result.returncode == 1 and 'Traceback' not in result.stdout and '(train)' not in result.stdout
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: ') and words in last, last


def test_a_machine_without_the_operators(shell, data, tmp_path):
    write_pure_python_mmcv(tmp_path)
    result = shell(sys.executable, ROOT / TRAIN, FOLDER / f'{VOC}.py', '--start', 'random', folder=data,
                   PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: ') and 'mmcv has none' in last and 'tools/setup_det.sh' in last


def test_the_script_takes_a_start_in_place_of_a_checkpoint(shell, tmp_path, free_port):
    ended = shell('bash', ROOT / 'tools/benchmarks/dist_train_det.sh', FOLDER / f'{C4}.py', 1, '--start', 'random',
                  folder=tmp_path, PORT=free_port())
    assert ended.returncode == 1 and 'cannot read the annotations data/coco/' in ended.stdout, ended.stdout[-3000:]
    assert (tmp_path / f'work_dirs/{Path(C4).name}_random').is_dir()


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """A folder with a dozen pictures of shapes below data/coco, each with one object or two."""
    root = tmp_path_factory.mktemp('shapes')
    write_coco(root / 'data/coco', dict(train2017=draw(12, size=(96, 96), most=2)), SHAPES, places=(0, 1, 2))
    return root


def test_trials_in_two_processes_and_the_test_command(run, shell, shapes, slim, tmp_path, free_port):
    short = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1',
             'default_hooks.logger.interval=1', 'model.test_cfg.rcnn.score_thr=0.0']
    words = ['tools/benchmarks/trials_det.py', SLIM_CONFIG, slim, 2, '--trials', 2, '--work-dir', tmp_path,
             '--cfg-options', *short]
    result = run(*words, folder=shapes, PORT=free_port())
    assert result.returncode == 0, result.stdout[-3000:]
    assert 'batch normalisation is not synchronised over processes (SyncBN becomes BN)' in result.stdout
    table = (tmp_path / 'trials.md').read_text()
    assert '| **detection_shapes** | 2 |' in table and 'coco/segm_mAP' in table
    figures = [json.loads((tmp_path / f'seed_{seed}/figures.json').read_text()) for seed in (0, 1)]
    assert [trial['seed'] for trial in figures] == [0, 1]
    assert losses_of(tmp_path / 'seed_0') != losses_of(tmp_path / 'seed_1')
    again = run(*words, folder=shapes)
    assert again.returncode == 0 and '(train)' not in again.stdout, 'nothing is trained again'
    assert (tmp_path / 'trials.md').read_text() == table
    other = run(*words[:-1], 'train_cfg.max_epochs=2', folder=shapes)
    assert other.returncode == 1 and 'have another set of further arguments' in other.stdout

    tested = shell('bash', ROOT / 'tools/benchmarks/dist_test_det.sh', SLIM_CONFIG, tmp_path / 'seed_0/epoch_1.pth', 2,
                   '--cfg-options', *short, folder=shapes, PORT=free_port())
    assert tested.returncode == 0, tested.stdout[-3000:]
    written = json.loads((tmp_path / 'seed_0/test/figures.json').read_text())
    test_det = 'tools/benchmarks/test_det.py'
    alone = run(test_det, SLIM_CONFIG, tmp_path / 'seed_0/epoch_1.pth', '--work-dir', tmp_path / 'alone',
                '--cfg-options', *short, folder=shapes)
    assert alone.returncode == 0, alone.stdout[-3000:]
    assert json.loads((tmp_path / 'alone/figures.json').read_text()) == written
    # In training each process has validated with batch statistics of its own.
    assert written['figures'].keys() == figures[0]['figures'].keys()
    wrong = run(test_det, SLIM_CONFIG, slim, '--work-dir', tmp_path / 'wrong', folder=shapes)
    assert wrong.returncode == 1 and 'is not a checkpoint of this config\'s detector' in wrong.stdout


def test_a_slim_detector_overfits(run, shapes, slim, tmp_path):
    """It starts from its pretraining's weights, and learns a dozen pictures by heart."""
    result = run(TRAIN, SLIM_CONFIG, slim, '--work-dir', tmp_path, '--seed', 0, folder=shapes)
    assert result.returncode == 0, result.stdout[-3000:]
    (shown, ) = re.findall(r'are those of \S+ \(sha256 (\w+)\)', result.stdout)
    assert shown == hash_of(slim)
    losses = losses_of(tmp_path)
    figures = json.loads((tmp_path / 'figures.json').read_text())['figures']
    assert losses[-1] < losses[0] / 2 and figures['coco/bbox_mAP_50'] > 0.5, (losses, figures)


def test_a_resumed_detector_goes_on_with_the_configs_settings(run, shapes, slim, tmp_path):
    words = [TRAIN, SLIM_CONFIG, slim, '--work-dir', tmp_path, '--seed', 0]
    options = ['--cfg-options', 'default_hooks.checkpoint.interval=1']
    first = run(*words, *options, 'train_cfg.max_epochs=1', folder=shapes)
    assert first.returncode == 0, first.stdout[-3000:]
    options.append('train_cfg.max_epochs=2')
    another = run(*words, *options, 'model.roi_head.bbox_head.fc_out_channels=48', '--resume', folder=shapes)
    last = another.stdout.strip().splitlines()[-1]
    assert another.returncode == 1 and f'{tmp_path}/epoch_1.pth, saved after epoch 1, is of another model' in last, last
    resumed = run(*words, *options, 'optim_wrapper.optimizer.lr=0.007', '--resume', folder=shapes)
    assert resumed.returncode == 0, resumed.stdout[-3000:]
    table = resumed.stdout.partition('saved after epoch 1, and of this training:')[2]
    (line, ) = [line for line in table.splitlines() if line.startswith('  optim_wrapper.optimizer.lr  ')]
    assert line.split()[-2:] == ['0.007', '0.007']
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    assert saved['optimizer']['param_groups'][0]['initial_lr'] == 0.007 and saved['meta']['processes'] == 1
    weights = torch.load(slim, weights_only=False)
    weights['state_dict']['backbone.conv1.weight'] += 1e-3
    torch.save(weights, tmp_path / 'other.pth')
    other = run(*words[:2], tmp_path / 'other.pth', *words[3:], *options, '--resume', folder=shapes)
    last = other.stdout.strip().splitlines()[-1]
    assert other.returncode == 1 and f'{tmp_path} has not started from {tmp_path}/other.pth: resume' in last, last
