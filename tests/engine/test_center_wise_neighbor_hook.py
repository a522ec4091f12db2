"""The hook in real training runs: when it refreshes, from what, what is saved, and what it refuses."""

import copy
import itertools
import json
import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from clim_mm.datasets import ImageFolder, SingleViews, labels_of
from clim_mm.engine import CenterWiseNeighborHook
from clim_mm.engine.center_wise_neighbor_hook import refresh_seed
from clim_mm.errors import ConfigError
from clim_mm.neighbors import cluster, search, select_positives

pytestmark = pytest.mark.usefixtures('one_torch_thread')

N, P, BATCH, STEPS = 24, 3, 8, 3  # images, positives, batch size, steps an epoch
EXTRACT_PIPELINE = [
    dict(type='LoadImage'),
    dict(type='Resize', scale=(16, 16)),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]
NUMBERS = itertools.count()  # a Runner's name must be its own: MMEngine keeps loggers by it


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Four class folders of six noisy images each; the classes differ in colour."""
    root = tmp_path_factory.mktemp('data') / 'images'
    write_images(root, N)
    return root


def write_images(root, number):
    rng = np.random.default_rng(0)
    for i in range(number):
        color = rng.normal(128, 25, 3) + 40 * np.eye(4, 3)[i % 4]
        pixels = np.clip(color + rng.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
        path = root / f'class{i % 4}' / f'{i:02d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def tag_pid(packed):
    """The training pipeline's end: tells which process made the sample."""
    packed['data_samples'].set_metainfo(dict(pid=os.getpid()))
    return packed


class Witness(Hook):
    """Notes what the training sees, before and after the hook under test."""

    def __init__(self, modes=itertools.repeat(True)):  # noqa: B008
        self.samples = []  # (epoch, id, positive, version, pid)
        self.tables = {}  # epoch -> the table with which it trains
        self.encoders = {}  # epoch -> both encoders as the refresh must have found them
        self.modes_before, self.modes_after = iter(modes), []
        self.steps = {}

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner):  # noqa: D102
        self.encoders[runner.epoch] = {
            name: copy.deepcopy(runner.model.encoder(name)).eval() for name in ('momentum', 'query')
        }
        self.steps[runner.epoch] = runner.iter
        runner.model.train(next(self.modes_before))
        self.modes_after.append(runner.model.training)

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        assert runner.model.training
        self.tables[runner.epoch] = runner.train_dataloader.dataset.table.positives.copy()
        self.samples += [(runner.epoch, int(s.sample_idx.value), s.positive_idx, s.table_version, s.pid)
                         for s in data_batch['data_samples']]

    def versions(self):
        """For each epoch, the versions of the tables that its samples came from."""
        epochs = sorted({epoch for epoch, *_ in self.samples})
        return {epoch: {version for e, _, _, version, _ in self.samples if e == epoch} for epoch in epochs}


class LastMode(Hook):
    """Notes the model's mode right after the hook under test."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.modes = []

    def before_train_epoch(self, runner):  # noqa: D102
        self.modes.append(runner.model.training)


def model_cfg(**kwargs):
    return dict(
        dict(
            type='CLIM',
            queue_len=24,
            feat_dim=16,
            momentum=0.5,
            data_preprocessor=dict(
                type='mmselfsup.SelfSupDataPreprocessor', mean=(128, 128, 128), std=(50, 50, 50), bgr_to_rgb=True),
            backbone=dict(
                type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[4],
                norm_cfg=dict(type='BN')),
            neck=dict(
                type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=32, out_channels=16, with_avg_pool=True),
            head=dict(type='MixedContrastiveHead', temperature=0.2)), **kwargs)


def pairs_cfg(folder):
    return dict(
        type='NeighborPairs',
        dataset=dict(type='mmcls.CustomDataset', data_root=str(folder)),
        num_positives=P,
        pipeline=[
            dict(
                type='PairViews',
                load=[dict(type='LoadImage')],
                view=[dict(type='MultiRes', resolutions=(16, 12), transforms=[dict(type='RandomFlip', prob=0.5)])]),
            dict(type='CutMix', alpha=2.0),
            dict(type='PackPair'),
            tag_pid,
        ])


def hook_cfg(**kwargs):
    return dict(
        dict(
            type='CenterWiseNeighborHook',
            interval=2,
            num_clusters=4,
            num_neighbors=6,
            extract=dict(pipeline=EXTRACT_PIPELINE, batch_size=10, num_workers=0)), **kwargs)


def runner_of(folder, work_dir, epochs=1, hook=None, witness=None, more_hooks=(), num_workers=1, checkpoints=False,
              **overrides):
    cfg = dict(
        model=model_cfg(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=BATCH,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            drop_last=True,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='clim_mm.stack_collate'),
            dataset=pairs_cfg(folder)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9)),
        custom_hooks=[hook_cfg() if hook is None else hook, *([] if witness is None else [witness]), *more_hooks],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1) if checkpoints else None),
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        default_scope='clim_mm',
        randomness=dict(seed=7),
        log_level='ERROR',
        experiment_name=f'test_hook_{next(NUMBERS)}')
    return Runner(**dict(cfg, **overrides))


def train(*args, **kwargs):
    """Train, and give the witness and the runner."""
    witness = kwargs.pop('witness', None) or Witness()
    runner = runner_of(*args, witness=witness, **kwargs)
    runner.train()
    iterator = runner.train_dataloader._iterator
    if iterator is not None:  # left to the garbage collector, each worker would take five seconds to stop
        iterator._shutdown_workers()
    return witness, runner


def features_by_hand(folder, encoder, layer='embedding'):
    """(N, d): the images of ``EXTRACT_PIPELINE``, ten at a time, by plain functions."""
    views = SingleViews(ImageFolder(str(folder)), EXTRACT_PIPELINE)
    images = torch.stack([views[i]['inputs'][0] for i in range(N)])
    images = (images.flip(1).float() - 128) / 50
    backbone, neck = encoder
    rows = []
    with torch.no_grad():
        for x in images.split(10):
            h = backbone(x)
            rows.append(F.normalize(neck(h)[0] if layer == 'embedding' else h[-1].mean(dim=(2, 3)), dim=1))
    return torch.cat(rows).numpy()


def table_by_hand(features, epoch, strategy='center_wise'):
    seed = refresh_seed(7, epoch)
    centroids, assignments = cluster(features, 4, seed=seed)
    return select_positives(features, centroids, assignments, search(features, 6), P, strategy=strategy, seed=seed)


def lines_of(work_dir):
    return [json.loads(line) for line in (work_dir / 'neighbors.jsonl').read_text().splitlines()]


def purity_by_hand(table, labels):
    matches = [labels[j] == labels[i] for i, row in enumerate(table) for j in row if j >= 0]
    return sum(matches) / len(matches)


@pytest.mark.parametrize('begin, interval, epochs, refreshes', [
    (0, 1, 3, [0, 1, 2]),
    (0, 2, 5, [0, 2, 4]),
    (1, 2, 5, [1, 3]),
    (2, 5, 3, [2]),
    (3, 1, 2, []),
])
def test_refreshes_when_it_is_time(folder, tmp_path, begin, interval, epochs, refreshes):
    witness, runner = train(folder, tmp_path, epochs, hook_cfg(begin=begin, interval=interval), num_workers=2)
    done = [sum(refresh <= epoch for refresh in refreshes) for epoch in range(epochs)]
    assert witness.versions() == {epoch: {version} for epoch, version in enumerate(done)}
    assert runner.train_dataloader.dataset.table.version == len(refreshes)

    pids = {pid for *_, pid in witness.samples}
    assert len(pids) == 2 and os.getpid() not in pids, 'the same two workers from the first epoch to the last'
    for epoch, i, positive, version, _ in witness.samples:
        row = set(witness.tables[epoch][i].tolist()) - {-1}
        assert positive in row if version and row else positive == -1
    for epoch in range(epochs):
        assert sorted(i for e, i, *_ in witness.samples if e == epoch) == list(range(N))

    if refreshes:
        lines = lines_of(tmp_path)
        assert [(line['epoch'], line['version']) for line in lines] == [(e, v + 1) for v, e in enumerate(refreshes)]
        assert {line['run'] for line in lines} == {runner.timestamp}
    else:
        assert not (tmp_path / 'neighbors.jsonl').exists()


def test_purity_is_that_of_the_table_and_goes_to_every_log(folder, tmp_path):
    hook = hook_cfg(compare=('knn', 'center_wise', 'random'))
    witness, runner = train(folder, tmp_path, 3, hook)
    labels = labels_of(runner.train_dataloader.dataset.dataset)
    assert labels.tolist() == sorted(i % 4 for i in range(N))
    lines = lines_of(tmp_path)
    scalars = [json.loads(line) for line in
               (tmp_path / runner.timestamp / 'vis_data' / 'scalars.json').read_text().splitlines()]
    scalars = [line for line in scalars if 'neighbors/purity_knn' in line]
    assert len(lines) == len(scalars) == 2
    for line, shown, epoch in zip(lines, scalars, (0, 2), strict=True):
        features = features_by_hand(folder, witness.encoders[epoch]['momentum'])
        assert line['purity_center_wise'] == pytest.approx(purity_by_hand(witness.tables[epoch], labels), abs=1e-12)
        for rival in ('knn', 'random'):
            expected = purity_by_hand(table_by_hand(features, epoch, rival), labels)
            assert line[f'purity_{rival}'] == pytest.approx(expected, abs=1e-12)
        assert line['share_without_positive'] == (witness.tables[epoch] < 0).all(axis=1).mean()
        assert all(line[f'seconds_{name}'] > 0 for name in ('extract', 'cluster', 'search', 'select'))
        assert shown['step'] == witness.steps[epoch] == epoch * STEPS
        figures = {name: value for name, value in line.items() if name not in ('run', 'epoch', 'version')}
        assert {name: shown[f'neighbors/{name}'] for name in figures} == pytest.approx(figures)
    text = next((tmp_path / runner.timestamp).glob('*.log')).read_text()
    assert text.count('Neighbours refreshed at epoch') == 0, 'the log level of this run is ERROR'


def test_without_labels_there_is_no_purity(folder, tmp_path):
    dataset = dict(pairs_cfg(folder), dataset=dict(type='ImageFolder', data_root=str(folder)))
    loader = dict(
        batch_size=BATCH, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset,
        collate_fn=dict(type='clim_mm.stack_collate'))
    train(folder, tmp_path, hook=hook_cfg(compare=('knn', )), train_dataloader=loader)
    (line, ) = lines_of(tmp_path)
    assert not [name for name in line if name.startswith('purity')]


@pytest.mark.parametrize('options, encoder, layer, dim', [
    (dict(), 'momentum', 'embedding', 16),
    (dict(encoder='query', layer='pooled'), 'query', 'pooled', 64),
    (dict(encoder='momentum', layer='pooled', strategy='knn', exact=False, nprobe=4), 'momentum', 'pooled', 64),
])
def test_the_table_comes_from_the_encoder_as_it_is_in_eval_mode(folder, tmp_path, options, encoder, layer, dim):
    witness, _ = train(folder, tmp_path, 3, hook_cfg(**options))
    strategy = options.get('strategy', 'center_wise')
    for epoch in (0, 2):
        features = features_by_hand(folder, witness.encoders[epoch][encoder], layer)
        assert features.shape == (N, dim)
        np.testing.assert_array_equal(witness.tables[epoch], table_by_hand(features, epoch, strategy))
    np.testing.assert_array_equal(witness.tables[1], witness.tables[0])
    assert not np.array_equal(witness.tables[2], witness.tables[0])
    # The other encoder would have given another table: the two are not the same after two epochs.
    rival = witness.encoders[2][dict(momentum='query', query='momentum')[encoder]]
    other = table_by_hand(features_by_hand(folder, rival, layer), 2, strategy)
    assert not np.array_equal(witness.tables[2], other)


def test_the_models_mode_is_restored_and_its_state_untouched(folder, tmp_path):
    modes = [True, False, False, True]
    after = LastMode()
    witness = Witness(modes)
    train(folder, tmp_path, 4, hook_cfg(interval=1), witness=witness, more_hooks=[after])
    assert witness.modes_after == after.modes == modes


class Unchanged(Hook):
    """Checks that a refresh leaves every parameter and buffer of the model alone."""

    priority = 'VERY_LOW'

    def __init__(self, witness):
        self.witness, self.compared = witness, 0

    def before_train_epoch(self, runner):  # noqa: D102
        for name, before in self.witness.encoders[runner.epoch].items():
            now = runner.model.encoder(name).state_dict()
            for key, value in before.state_dict().items():
                assert torch.equal(now[key], value), key
                self.compared += 1


def test_a_refresh_changes_no_parameter_and_no_batch_statistics(folder, tmp_path):
    witness = Witness()
    unchanged = Unchanged(witness)
    train(folder, tmp_path, 2, hook_cfg(interval=1), witness=witness, more_hooks=[unchanged])
    assert unchanged.compared > 400


def state_of(runner):
    table = runner.train_dataloader.dataset.table
    return table.positives.copy(), table.version


@pytest.fixture(scope='module')
def undisturbed_run(folder, tmp_path_factory):
    """A witness and a runner of four epochs, refreshed at 0 and 2."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as every run of this file: the module's fixtures come before the test's
    yield train(folder, tmp_path_factory.mktemp('whole'), 4, num_workers=0)
    torch.set_num_threads(threads)


@pytest.mark.parametrize('stop', [1, 2])
def test_a_resumed_run_goes_on_as_if_undisturbed(folder, tmp_path, undisturbed_run, stop):
    begin, hook = 0, hook_cfg()
    undisturbed, whole = undisturbed_run
    first, stopped = train(folder, tmp_path / 'parts', stop, hook, num_workers=0, checkpoints=True)
    path = tmp_path / 'parts' / f'epoch_{stop}.pth'
    saved = torch.load(path, map_location='cpu', weights_only=False)['neighbor_table']
    positives, version = state_of(stopped)
    np.testing.assert_array_equal(saved['positives'].numpy(), positives)
    assert int(saved['version']) == version == sum(e in range(begin, stop, 2) for e in range(stop))

    resumed, runner = train(folder, tmp_path / 'parts', 4, hook, num_workers=1, resume=True, load_from=str(path))
    assert sorted(resumed.tables) == list(range(stop, 4)), 'it went on where it was stopped'
    due = [epoch for epoch in range(stop, 4) if epoch >= begin and (epoch - begin) % 2 == 0]
    assert [line['epoch'] for line in lines_of(tmp_path / 'parts')[version:]] == due
    if stop not in due:
        np.testing.assert_array_equal(resumed.tables[stop], positives)
        assert resumed.versions()[stop] == {version}
    np.testing.assert_array_equal(state_of(runner)[0], state_of(whole)[0])
    assert state_of(runner)[1] == state_of(whole)[1] == undisturbed.versions()[3].pop()
    drawn = [[sample[:4] for sample in witness.samples if sample[0] >= stop] for witness in (undisturbed, resumed)]
    assert drawn[0] == drawn[1], 'the same samples in the same order'


def checkpoint_of(folder, work_dir, **kwargs):
    train(folder, work_dir, 1, num_workers=0, checkpoints=True, **kwargs)
    return str(work_dir / 'epoch_1.pth')


def test_weights_alone_bring_no_table(folder, tmp_path):
    path = checkpoint_of(folder, tmp_path / 'first')
    witness, runner = train(folder, tmp_path / 'second', 2, hook_cfg(begin=1), load_from=path)
    assert witness.versions() == {0: {0}, 1: {1}}
    assert (witness.tables[0] == -1).all()
    trained = torch.load(path, map_location='cpu', weights_only=False)['state_dict']
    started = witness.encoders[0]['momentum'].state_dict()
    assert all(torch.equal(trained[f'encoder_k.module.{name}'], value) for name, value in started.items())


def test_a_checkpoint_without_a_table_is_refreshed_at_once(folder, tmp_path):
    path = checkpoint_of(folder, tmp_path)
    checkpoint = torch.load(path, map_location='cpu', weights_only=False)
    del checkpoint['neighbor_table']
    torch.save(checkpoint, path)
    witness, _ = train(folder, tmp_path / 'on', 3, hook_cfg(interval=5), resume=True, load_from=path)
    assert witness.versions() == {1: {1}, 2: {1}}
    assert [line['epoch'] for line in lines_of(tmp_path / 'on')] == [1]


def test_a_checkpoint_of_another_training_set_is_refused(folder, tmp_path):
    path = checkpoint_of(folder, tmp_path / 'first')
    write_images(tmp_path / 'fewer', 20)
    runner = runner_of(tmp_path / 'fewer', tmp_path / 'second', 2, resume=True, load_from=path)
    with pytest.raises(ConfigError, match='The checkpoint belongs to another training set: The table has 20 samples'):
        runner.train()


def never_run(results):
    raise AssertionError('something was extracted')


NO_EXTRACTION = dict(pipeline=[never_run], num_workers=0)


@pytest.mark.parametrize('options, complaint', [
    (dict(num_clusters=25), 'num_clusters=25 does not fit a training set of 24 images: set it from 1 to 24'),
    (dict(num_clusters=0), 'num_clusters=0 does not fit'),
    (dict(num_neighbors=24), 'num_neighbors=24 does not fit a training set of 24 images: set it from 1 to 23'),
])
def test_sizes_that_do_not_fit_are_refused_before_any_extraction(folder, tmp_path, options, complaint):
    runner = runner_of(folder, tmp_path, hook=hook_cfg(extract=NO_EXTRACTION, **options))
    with pytest.raises(ConfigError, match=complaint):
        runner.train()


def test_no_refresh_means_no_extraction(folder, tmp_path):
    witness, _ = train(folder, tmp_path, hook=hook_cfg(extract=NO_EXTRACTION, begin=1))
    assert witness.versions() == {0: {0}}


def test_a_plain_dataset_is_refused(folder, tmp_path):
    dataset = dict(type='mmcls.CustomDataset', data_root=str(folder), pipeline=EXTRACT_PIPELINE)
    loader = dict(
        batch_size=BATCH, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset,
        collate_fn=dict(type='clim_mm.stack_collate'))
    runner = runner_of(folder, tmp_path, train_dataloader=loader)
    with pytest.raises(ConfigError, match='NeighborPairs dataset, but the training set is a CustomDataset'):
        runner.train()


def test_another_model_is_refused(folder, tmp_path):
    head = dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss'), temperature=0.2)
    runner = runner_of(folder, tmp_path, model=model_cfg(type='mmselfsup.MoCo', head=head))
    with pytest.raises(ConfigError, match='from a CLIM model, but the model is a MoCo: set model.type to "CLIM"'):
        runner.train()


def test_a_loop_without_epochs_is_refused(folder, tmp_path):
    runner = runner_of(folder, tmp_path, train_cfg=dict(type='IterBasedTrainLoop', max_iters=2))
    with pytest.raises(ConfigError, match='EpochBasedTrainLoop'):
        runner.train()


@pytest.mark.parametrize('options, complaint', [
    (dict(strategy='nearest'), 'strategy .* one of random, knn, kmeans, knn_kmeans, center_wise, not \'nearest\''),
    (dict(compare=('knn', 'all')), 'compare .* one of random, knn, kmeans, knn_kmeans, center_wise, not \'all\''),
    (dict(encoder='teacher'), 'encoder .* one of momentum, query, not \'teacher\''),
    (dict(layer='bank'), 'layer .* one of embedding, pooled, not \'bank\''),
    (dict(interval=0), 'interval >= 1 and begin >= 0, not 0 and 0'),
    (dict(interval=-5), 'not -5 and 0'),
    (dict(begin=-1), 'not 5 and -1'),
])
def test_options_out_of_range_are_refused(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        CenterWiseNeighborHook(extract=NO_EXTRACTION, **options)


def test_the_defaults_are_those_of_the_method():
    hook = CenterWiseNeighborHook(extract=NO_EXTRACTION)
    assert (hook.interval, hook.begin, hook.strategy, hook.encoder, hook.layer) == (
        5, 0, 'center_wise', 'momentum', 'embedding')
    assert hook.num_clusters is None and hook.num_neighbors is None and hook.exact is True and hook.compare == ()


def test_refresh_seeds_fit_faiss_and_differ():
    seeds = [refresh_seed(seed, epoch) for seed in (0, 1, 2**31 - 1) for epoch in range(0, 1200, 5)]
    assert len(set(seeds)) == len(seeds) == 720
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)
    assert refresh_seed(3, 10) == refresh_seed(3, 10)
