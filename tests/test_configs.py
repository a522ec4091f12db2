"""Every config loads, is what its name says, and builds its model; the indexes list them all."""

import json
from functools import lru_cache

import pytest
import yaml
from config_names import CONFIGS, FORM, METHODS, NAME, NAMES, ROOT, load, method_of
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from clim_mm.datasets import LoadImage
from clim_mm.neighbors.defaults import default_num_positives, default_queue_len
from clim_mm.registry import HOOKS, MODELS, TRANSFORMS

# Those that the model index lists; what an ablation or an option measures belongs to its table.
IN1K = [path for path in CONFIGS if path.stem.endswith('_in1k') and path.parent.name in METHODS]
CLIM_IN1K = ROOT / 'configs/clim/clim_r50_16xb32-200e_in1k.py'
HSA_IN1K = ROOT / 'configs/hsa/hsa_r50_8xb32-200e_in1k.py'
IMAGENET = 1281167  # images of its training set
MOCO_IN1K = ROOT / 'configs/mocov2/mocov2_r50_16xb32-200e_in1k.py'


def test_the_configs_are_there():
    assert {'clim_r50_16xb32-1200e_in1k', 'clim_r50_16xb32-200e_in1k', 'mocov2_r50_16xb32-200e_in1k'} <= set(NAMES)
    assert [name for name in NAMES if name.endswith('_digits')], 'the tests need them'
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_the_name_says_what_is_in_it(path):
    name = NAME.fullmatch(path.stem)
    assert name, FORM
    cfg = load(path)
    assert path.relative_to(ROOT / 'configs').parts[0] == name['model']
    model, samples, *_ = method_of(path)
    assert cfg.model.type == model
    assert cfg.model.backbone.depth == int(name['depth'])
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert cfg.train_cfg.max_epochs == int(name['epochs'])
    source = cfg.train_dataloader.dataset
    assert source.type == samples
    source = source.dataset
    assert source.data_root == f"data/{dict(in1k='imagenet').get(name['data'], name['data'])}"
    assert source.data_prefix == 'train'
    total, rule = int(name['processes']) * int(name['batch']), cfg.auto_scale_lr
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(rule.base_lr * total / rule.base_batch_size)
    assert not rule.enable
    if name['data'] == 'in1k' and name['model'] in ('clim', 'mocov2'):
        assert (rule.base_lr, rule.base_batch_size) == (0.06, 512)


@lru_cache
def build_model(cfg):
    """The model of a config, given as JSON: many configs have the same."""
    with DefaultScope.overwrite_default_scope('clim_mm'), pytest.MonkeyPatch.context() as patch:
        for part in (nn.modules.conv._ConvNd, nn.Linear):  # of full width, and nobody looks at the weights
            patch.setattr(part, 'reset_parameters', lambda self: None)
        return MODELS.build(json.loads(cfg))


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_the_model_builds(path):
    cfg = load(path)
    model = build_model(json.dumps(cfg.model.to_dict()))
    assert type(model).__name__ == cfg.model.type
    necks = [cfg.model.neck] if 'type' in cfg.model.neck else [*cfg.model.neck.values()]
    assert {neck.out_channels for neck in necks} == {model.embedding_dim}
    for queue in getattr(model, 'queues', {}).values():
        assert queue.keys.shape == (len(necks) * cfg.model.feat_dim, cfg.model.queue_len or 0)


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_the_pipelines_and_hooks_build(path):
    cfg = load(path)
    init_default_scope('clim_mm')
    built = [TRANSFORMS.build(transform) for transform in cfg.train_dataloader.dataset.pipeline]
    _, _, pack, hooks = method_of(path)
    assert type(built[-1]).__name__ == pack
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)
    of_methods = dict(
        queue='QueueHook', neighbors='CenterWiseNeighborHook', optimizer_step='OptimizerStepHook')
    found = {name: hook for name, hook in cfg.default_hooks.items() if name in of_methods and hook is not None}
    assert {*found} == hooks
    for name, hook in found.items():
        assert type(HOOKS.build(hook)).__name__ == of_methods[name]
    assert isinstance(TRANSFORMS.build(cfg.extract.pipeline[0]), LoadImage)
    assert cfg.extract.pipeline[-1].algorithm_keys == ['sample_idx']


C2BINS = [path for path in CONFIGS if path.stem.startswith('c2bin')]


@pytest.mark.parametrize('path', C2BINS, ids=[path.stem for path in C2BINS])
def test_c2bin_has_images_enough_for_its_clusters(path):
    cfg = load(path)
    model = build_model(json.dumps(cfg.model.to_dict()))
    processes = int(NAME.fullmatch(path.stem)['processes'])
    assert model.check_batch(cfg.train_dataloader.batch_size * processes) == ''
    # What differs from BYOL's config is the clusters alone.
    byol = load(ROOT / 'configs/byol' / path.name.replace('c2bin', 'byol'))
    of_clusters = {'type', 'cluster_head', 'num_clusters', 'beta', 'start_epoch', 'clustered_labels_only'}
    assert {name: part for name, part in cfg.model.items() if name not in of_clusters} == {
        name: part for name, part in byol.model.items() if name != 'type'}


def test_the_papers_setting():
    cfg = load(CLIM_IN1K)
    assert cfg.model.head == dict(type='MixedContrastiveHead', temperature=0.2)
    assert (cfg.model.queue_len, cfg.model.feat_dim, cfg.model.momentum) == (None, 128, 0.999)
    assert default_queue_len(IMAGENET, keys_per_step=512) == 65536
    assert (cfg.model.neck.in_channels, cfg.model.neck.hid_channels) == (2048, 2048)
    optimizer = cfg.optim_wrapper.optimizer
    assert dict(optimizer) == dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=1e-4)
    assert [dict(scheduler) for scheduler in cfg.param_scheduler] == [dict(type='CosineAnnealingLR', by_epoch=True)]

    pairs = cfg.train_dataloader.dataset
    assert pairs.type == 'NeighborPairs' and 'num_positives' not in pairs and default_num_positives(IMAGENET) == 10
    views, cutmix, _ = pairs.pipeline
    assert [transform.type for transform in pairs.pipeline] == ['PairViews', 'CutMix', 'PackPair']
    assert cutmix.alpha == 2.0
    (view, ) = views.view
    assert view.resolutions == (224, 160) and view.scale == (0.2, 1.0)
    jitter, gray, blur, flip = view.transforms
    assert jitter.prob == 0.8 and dict(jitter.transforms[0]) == dict(
        type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    assert gray.type == 'RandomGrayscale' and gray.prob == 0.2
    assert (blur.sigma_min, blur.sigma_max, blur.prob) == (0.1, 2.0, 0.5)
    assert flip.type == 'RandomFlip' and flip.prob == 0.5

    hook = cfg.default_hooks.neighbors
    assert (hook.interval, hook.get('begin', 0), hook.strategy) == (5, 0, 'center_wise')
    assert hook.num_clusters is None and hook.num_neighbors is None
    assert hook.get('encoder', 'momentum') == 'momentum' and hook.get('layer', 'embedding') == 'embedding'
    _, center, _ = cfg.extract.pipeline
    assert (center.type, center.edge, center.crop_size) == ('CenterView', 256, 224)


def test_the_1200_epochs_differ_in_nothing_else():
    long, short = (load(ROOT / f'configs/clim/clim_r50_16xb32-{epochs}e_in1k.py').to_dict() for epochs in (1200, 200))
    assert (long['train_cfg'].pop('max_epochs'), short['train_cfg'].pop('max_epochs')) == (1200, 200)
    assert long == short


def test_hsas_released_recipe():
    cfg, clim = load(HSA_IN1K), load(CLIM_IN1K)
    assert (cfg.model.get('other_weight', 0.5), cfg.model.get('warmup', 0.055)) == (0.5, 11 / 200)
    assert cfg.model.level_weights == dict(res4=0.5, res5=1.0) and cfg.model.backbone.out_indices == [3, 4]
    assert (cfg.model.queue_len, cfg.model.feat_dim, cfg.model.momentum) == (None, 128, 0.999)
    assert cfg.model.head.temperature == 0.2 and 'denominator' not in cfg.model.head
    assert dict(cfg.optim_wrapper.optimizer) == dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4)
    hook = cfg.default_hooks.neighbors
    assert (hook.strategy, hook.num_neighbors, hook.layer, hook.interval) == ('knn', 5, 'pooled', 5)
    assert hook.get('encoder', 'momentum') == 'momentum' and 'begin' not in hook
    views, cutmix, _ = cfg.train_dataloader.dataset.pipeline
    assert cutmix == dict(type='CutMix', alpha=2.0) and views.unmixed == ('anchor', 'positive')
    ours, theirs = views.view[0].to_dict(), clim.train_dataloader.dataset.pipeline[0].view[0].to_dict()
    assert ours.pop('resolutions') == (224, ) and theirs.pop('resolutions') and ours == theirs


def test_hsas_1200_epochs_are_in_clims_setting():
    hsa, clim = (load(ROOT / f'configs/{name}/{name}_r50_16xb32-1200e_in1k.py') for name in ('hsa', 'clim'))
    for name in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'auto_scale_lr', 'extract'):
        assert hsa[name] == clim[name]
    assert hsa.model == load(HSA_IN1K).model


def test_clim_and_its_baseline_share_what_they_can():
    clim, moco = load(CLIM_IN1K), load(MOCO_IN1K)
    (view, ) = clim.train_dataloader.dataset.pipeline[0].view
    multi_view = moco.train_dataloader.dataset.pipeline[1]
    assert multi_view.num_views == 2 and len(multi_view.transforms) == 1
    crop, *photometric = multi_view.transforms[0]
    assert photometric == view.transforms and len(photometric) == 4
    assert crop.size == max(view.resolutions)
    assert crop.scale == view.scale
    assert crop.backend == 'pillow' and 'backend' not in view, 'torch gives what Pillow gives'
    for name in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'env_cfg', 'log_processor', 'extract'):
        assert clim[name] == moco[name]
    of_clim_alone = {'queue', 'neighbors'}
    assert {name: hook for name, hook in clim.default_hooks.items() if name not in of_clim_alone} == moco.default_hooks
    assert of_clim_alone <= set(clim.default_hooks)
    assert moco.model.queue_len == default_queue_len(IMAGENET, keys_per_step=512)
    for name in ('feat_dim', 'momentum', 'data_preprocessor', 'backbone', 'neck'):
        assert clim.model[name] == moco.model[name]
    assert clim.model.head.temperature == moco.model.head.temperature
    for name in ('batch_size', 'sampler', 'drop_last', 'collate_fn', 'persistent_workers'):
        assert clim.train_dataloader[name] == moco.train_dataloader[name]


def metafiles():
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('metafile.yml'))


def test_the_model_index_lists_every_metafile():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert sorted(index['Import']) == metafiles() and len(metafiles()) >= 2


def test_the_metafiles_list_every_imagenet_config():
    listed = {}
    for path in metafiles():
        metafile = yaml.safe_load((ROOT / path).read_text())
        collections = {collection['Name'] for collection in metafile['Collections']}
        for collection in metafile['Collections']:
            assert (ROOT / collection['README']).is_file()
        for model in metafile['Models']:
            assert model['In Collection'] in collections
            listed[model['Name']] = model
    assert sorted(listed) == sorted(path.stem for path in IN1K)
    for name, model in listed.items():
        path = ROOT / model['Config']
        assert path in CONFIGS and path.stem == name
        parsed = NAME.fullmatch(name)
        assert model['Metadata'] == {
            'Epochs': int(parsed['epochs']),
            'Batch Size': int(parsed['processes']) * int(parsed['batch'])
        }
        assert model['Results'] is None and model['Weights'] is None, 'nothing was measured'
