"""kNN during pretraining: the voters are the refresh's features."""

import json
import shutil

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from training_runs import N, hook_cfg, pairs_cfg, runner_of, write_images

from clim_mm.errors import ConfigError, DataError, sentence
from clim_mm.evaluation import knn_top1, train_and_held_out
from clim_mm.hooks.center_wise_neighbor_hook import CenterWiseNeighborHook
from clim_mm.hooks.refresh_reports import KNNHook

pytestmark = pytest.mark.usefixtures('one_torch_thread')


class AfterRefresh(Hook):
    """Measures what was measured, from the same features and by the same network."""

    def __init__(self):
        self.top1 = []

    def after_neighbor_refresh(self, runner, features, found):
        """Extract and vote."""
        train, test = train_and_held_out(runner.cfg)
        hook = next(hook for hook in runner.hooks if isinstance(hook, CenterWiseNeighborHook))
        test_features = hook.extraction.features_of(runner.model, test.views)
        there = np.flatnonzero(~np.isnan(features[:, 0]))
        self.top1.append(knn_top1(features[there], train.labels[there], test_features, test.labels, 5, 0.1))


@pytest.fixture
def root(tmp_path):
    """``train`` has 24 images of four classes, ``val`` twelve of them and of others."""
    write_images(tmp_path / 'train', N)
    write_images(tmp_path / 'val', 40)
    for number in range(28):
        (tmp_path / 'val' / f'class{number % 4}' / f'{number:02d}.png').unlink()
    return tmp_path


def runner_with(root, hooks, held_out='val', first=None, dataset_type='mmcls.CustomDataset', **pairs):
    source = dict(type=dataset_type, data_root=str(root), data_prefix='train')
    train_dataloader = dict(
        batch_size=8, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='clim_mm.stack_collate'), dataset=dict(pairs_cfg(root), dataset=source, **pairs))
    cfg = Config(dict(
        default_scope='clim_mm', held_out=dict(data_prefix=held_out), custom_hooks=[hook_cfg()],
        train_dataloader=dict(dataset=dict(type='NeighborPairs', dataset=source))))
    return runner_of(root, root / 'work', 3, first, more_hooks=hooks, cfg=cfg, train_dataloader=train_dataloader)


def test_the_refreshs_features_vote(root):
    again = AfterRefresh()
    (root / 'train' / 'class1' / '05.png').write_bytes(b'')
    runner = runner_with(root, [dict(type='KNNHook', k=5, temperature=0.1), again], max_unreadable=0.2)
    runner.train()
    lines = [json.loads(line) for line in (root / 'work' / 'knn.jsonl').read_text().splitlines()]
    assert [(line['epoch'], line['k'], line['run']) for line in lines] == [(e, 5, runner.timestamp) for e in (0, 2)]
    assert [line['top1'] for line in lines] == again.top1
    scalars = [json.loads(line) for path in (root / 'work').rglob('vis_data/scalars.json')
               for line in path.read_text().splitlines()]
    assert [line['knn/top1'] for line in scalars if 'knn/top1' in line] == again.top1


@pytest.mark.parametrize('change, error, words', [
    (dict(hooks=[dict(type='KNNHook', k=25)]), ConfigError, ['25 nearest', '24 training images']),
    (dict(held_out='nowhere'), DataError, ['nowhere', 'does not exist']),
    (dict(dataset_type='ImageFolder'), DataError, ['no labels']),
    (dict(first=dict(type='KNNHook'), hooks=[]), ConfigError, ['KNNHook', 'has none: inherit']),
])
def test_what_is_wrong_is_said_before_the_first_refresh(root, change, error, words):
    with pytest.raises(error) as raised:
        runner_with(root, **dict(dict(hooks=[dict(type='KNNHook')]), **change)).train()
    text = sentence(raised.value)
    assert all(word in text for word in words), text
    assert not (root / 'work' / 'neighbors.jsonl').exists()


@pytest.mark.parametrize('options', [dict(k=0), dict(k=2.5), dict(temperature=0), dict(temperature='low')])
def test_options_out_of_range(options):
    with pytest.raises(ConfigError, match=f'{next(iter(options))} of KNNHook'):
        KNNHook(**options)


def test_the_pictures_are_not_mixed_up(root):
    shutil.rmtree(root / 'val')
    shutil.copytree(root / 'train', root / 'val')
    for path in list((root / 'val').rglob('*.png')):
        path.write_bytes(path.read_bytes() + b' ')  # copies are refused
    runner = runner_with(root, [dict(type='KNNHook', k=1)])
    runner.train()
    lines = [json.loads(line) for line in (root / 'work' / 'knn.jsonl').read_text().splitlines()]
    assert lines[0]['top1'] == 1.0, 'each image is its own nearest'


def test_images_of_one_class_are_refused(root):
    for name in ('train', 'val'):
        for number in range(4):
            shutil.move(root / name / f'class{number}', root / name / 'all' / f'class{number}')
    with pytest.raises(ConfigError, match='all of one class'):
        runner_with(root, [dict(type='KNNHook')]).train()
