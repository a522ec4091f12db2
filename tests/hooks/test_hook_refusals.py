"""What the hook refuses, before any extraction."""

import pytest
from training_runs import BATCH, EXTRACT_PIPELINE, hook_cfg, model_cfg, runner_of, train, write_images

from clim_mm.errors import ConfigError
from clim_mm.hooks.center_wise_neighbor_hook import CenterWiseNeighborHook
from clim_mm.neighbors.refresh import refresh_seed

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def never_run(results):
    raise AssertionError('something was extracted')


NO_EXTRACTION = dict(pipeline=[never_run], num_workers=0)


@pytest.mark.parametrize('options, complaint', [
    (dict(num_clusters=25), 'num_clusters=25 does not fit a training set of 24 images: set it from 1 to 24'),
    (dict(num_neighbors=24), 'num_neighbors=24 does not fit a training set of 24 images: set it from 1 to 23'),
])
def test_sizes_that_do_not_fit_are_refused_before_any_extraction(folder, tmp_path, options, complaint):
    runner = runner_of(folder, tmp_path, hook=hook_cfg(extract=NO_EXTRACTION, **options))
    with pytest.raises(ConfigError, match=complaint):
        runner.train()


def test_no_refresh_means_no_extraction(folder, tmp_path):
    witness, _ = train(folder, tmp_path, hook=hook_cfg(extract=NO_EXTRACTION, begin=1))
    assert witness.versions() == {0: {0}}


@pytest.mark.parametrize('pipeline', [EXTRACT_PIPELINE[:-1], EXTRACT_PIPELINE[-1:], [lambda results: 3]])
def test_an_extraction_without_images_is_refused(folder, tmp_path, pipeline):
    runner = runner_of(folder, tmp_path, hook=hook_cfg(extract=dict(pipeline=pipeline, num_workers=0)))
    with pytest.raises(ConfigError, match='pipeline of the extraction gives no images: let it begin with LoadImage'):
        runner.train()


def test_a_set_without_a_whole_batch_is_refused(tmp_path):
    write_images(tmp_path / 'few', BATCH - 1)
    with pytest.raises(ConfigError, match=f'^{BATCH - 1} images are fewer than one batch on each of 1 .*: lower'):
        runner_of(tmp_path / 'few', tmp_path, num_workers=0).train()


def test_a_plain_dataset_is_refused(folder, tmp_path):
    dataset = dict(type='mmcls.CustomDataset', data_root=str(folder), pipeline=EXTRACT_PIPELINE)
    loader = dict(
        batch_size=BATCH, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset,
        collate_fn=dict(type='clim_mm.stack_collate'))
    runner = runner_of(folder, tmp_path, train_dataloader=loader)
    with pytest.raises(ConfigError, match='needs a neighbour table, as NeighborPairs has, and CustomDataset has none'):
        runner.train()


def test_another_model_is_refused(folder, tmp_path):
    head = dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss'), temperature=0.2)
    runner = runner_of(folder, tmp_path, model=model_cfg(type='mmselfsup.MoCo', head=head))
    with pytest.raises(ConfigError, match='features for the neighbours, as CLIM has, and MoCo has none: take another'):
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
    (dict(compare='knn_kmean'), 'compare .* not \'knn_kmean\' .did you mean \'knn_kmeans\'?.'),
    (dict(feature_source='memory'), 'feature_source .* one of extract, bank, not \'memory\''),
    (dict(feature_source='bank', encoder='query'), 'feature_source="bank" .*encoder=\'query\', layer='),
    (dict(feature_source='bank', layer='pooled'), 'feature_source="bank" .*layer=\'pooled\': leave these two at'),
    (dict(bank_average=0), 'bank_average of CenterWiseNeighborHook .* whole number of at least 1, not 0'),
    (dict(interval=0), 'interval of CenterWiseNeighborHook .* whole number of at least 1, not 0'),
    (dict(interval=-5), 'interval .* not -5'),
    (dict(begin=-1), 'begin .* at least 0, not -1'),
    (dict(num_clusters=0), 'num_clusters .* at least 1 or None, not 0'),
    (dict(num_neighbors='40'), 'num_neighbors .* at least 1 or None, not \'40\''),
    (dict(nprobe=1.5), 'nprobe .* not 1.5'),
    (dict(whiten=0), 'whiten of CenterWiseNeighborHook .* above 0 or None, not 0'),
    (dict(surest=0), 'surest of CenterWiseNeighborHook .* above 0 and of at most 1, not 0'),
    (dict(exact='no'), 'exact .* True or False or None, not \'no\''),
    (dict(extract=[]), 'extract .* a dict, not'),
    (dict(extract=dict(batch_size=4)), 'extract of CenterWiseNeighborHook lacks \'pipeline\''),
    (dict(extract=dict(NO_EXTRACTION, batchsize=4)), 'no setting \'batchsize\' .did you mean \'batch_size\'?.'),
    (dict(extract=dict(NO_EXTRACTION, batch_size=0)), 'extract .*batch_size .* at least 1, not 0'),
    (dict(extract=dict(NO_EXTRACTION, num_workers=-1)), 'extract .*num_workers .* from 0 to 1024, not -1'),
    (dict(extract=dict(NO_EXTRACTION, amp='no')), 'extract .*amp must be True or False, not \'no\''),
    (dict(extract=dict(NO_EXTRACTION, channels_last=1)), 'extract .*channels_last must be True or False, not 1'),
    (dict(extract=dict(pipeline=[])), 'extract .*pipeline must be a list that is not empty'),
])
def test_options_out_of_range_are_refused(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        CenterWiseNeighborHook(**dict(dict(extract=NO_EXTRACTION), **options))


def test_the_defaults_are_those_of_the_method():
    hook = CenterWiseNeighborHook(extract=NO_EXTRACTION)
    assert (hook.interval, hook.begin, hook.strategy, hook.encoder, hook.layer) == (
        5, 0, 'center_wise', 'momentum', 'embedding')
    assert hook.num_clusters is None and hook.num_neighbors is None and hook.exact is None and hook.compare == ()
    assert hook.feature_source == 'extract'


def test_refresh_seeds_fit_faiss_and_differ():
    seeds = [refresh_seed(seed, epoch) for seed in (0, 1, 2**31 - 1) for epoch in range(0, 1200, 5)]
    assert len(set(seeds)) == len(seeds) == 720
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)
    assert refresh_seed(3, 10) == refresh_seed(3, 10)
