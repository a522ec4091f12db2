"""A recipe as a config that ``tools/train.py`` trains by."""

from typing import Any

from mmengine.config import Config

from clim_mm.embedding.encoder import center_view

from .recipe import Recipe

_BASE = 'clim_mm::_base_'
# By method: the model's base config, that of the views, and that of the runtime.
_BASES = dict(
    clim=('clim_r50', 'imagenet_clim', 'clim_runtime'), hsa=('hsa_r50', 'imagenet_hsa', 'hsa_runtime'),
    c2bin=('byol_r50', 'imagenet_two_views', 'optimizer_step_runtime'),
    # CLIM without positives is MoCo v2, with groups of batch statistics, which MMSelfSup's own lacks in one process.
    mocov2=('clim_r50', 'imagenet_two_views', 'clim_runtime'),
    byol=('byol_r50', 'imagenet_two_views', 'optimizer_step_runtime'))
_CHECKPOINTS = 10  # that a training writes, about
_ANCHORS = 24  # on the pages of positives
_HEADER = '''# Written by clim-mm pretrain; trained again by
# python -m clim_mm train {name} --work-dir FOLDER
'''


def config_text(recipe: Recipe, name: str = 'config.py') -> str:
    """The text of a config file of this name."""
    model, views, runtime = _BASES[recipe.method]
    bases = [f'{_BASE}/models/{model}.py', f'{_BASE}/datasets/{views}.py', f'{_BASE}/schedules/sgd_b512_coslr.py',
             f'{_BASE}/{runtime}.py']
    listed = ',\n'.join(f'    {base!r}' for base in bases)
    return '\n'.join([_HEADER.format(name=name) + f'_base_ = [\n{listed},\n]\n', _data_text(recipe),
                      Config(_settings(recipe)).pretty_text])


def _data_text(recipe: Recipe) -> str:
    """The images and their views, by names of the base configs."""
    return f'''{_pipeline_text(recipe)}
train_dataloader = dict(
    batch_size={recipe.batch},
    num_workers={recipe.workers},
    pin_memory={recipe.on_gpu},
    dataset=dict(
        dataset=dict(_delete_=True, type='clim_mm.ImageFolder', data_root={recipe.folder!r}),
        pipeline=pipeline))
'''


def _pipeline_text(recipe: Recipe) -> str:
    """Lines that name ``pipeline``."""
    # Views of few pixels are not blurred, as those of CIFAR.
    chosen = '_base_.photometric[:2] + _base_.photometric[3:]' if recipe.has_small_views else '_base_.photometric'
    if recipe.method in ('clim', 'hsa'):
        return (f'photometric = {chosen}\n'
                f'view = dict(_base_.pair_views.view[0], resolutions={recipe.views!r}, transforms=photometric)\n'
                'pipeline = [dict(_base_.pair_views, view=[view]), _base_.mixing, _base_.pack]\n')
    return (f'photometric = {chosen}\n'
            f'crop = dict(type=\'mmselfsup.RandomResizedCrop\', size={recipe.size}, backend=\'pillow\', '
            'scale=_base_.crop.scale)\n'
            'pipeline = [\n'
            '    dict(type=\'LoadImage\'),\n'
            '    dict(type=\'mmselfsup.MultiView\', num_views=2, transforms=[[crop, *photometric]]),\n'
            '    dict(type=\'mmselfsup.PackSelfSupInputs\', algorithm_keys=[\'sample_idx\']),\n'
            ']\n')


def _settings(recipe: Recipe) -> dict[str, Any]:
    hooks: dict[str, Any] = dict(
        logger=dict(interval=max(1, min(50, recipe.steps))),
        checkpoint=dict(interval=max(1, recipe.epochs // _CHECKPOINTS), max_keep_ckpts=2),
        preflight=dict(seconds=0))  # it has been planned
    if recipe.uses_neighbors:
        hooks['neighbors'] = dict(begin=recipe.begin, interval=recipe.interval)
    elif recipe.method == 'mocov2':
        hooks['neighbors'] = None
    return dict(
        model=_model(recipe),
        extract=dict(batch_size=64, num_workers=recipe.workers, pipeline=center_view(recipe.size)),
        optim_wrapper=dict(type='Bf16OptimWrapper' if recipe.bf16 else 'OptimWrapper',
                           optimizer=dict(lr=recipe.lr, weight_decay=recipe.weight_decay)),
        auto_scale_lr=dict(base_batch_size=recipe.batch * recipe.processes, base_lr=recipe.lr),
        train_cfg=dict(max_epochs=recipe.epochs),
        default_hooks=hooks,
        custom_hooks=[dict(type='NeighborPageHook', num_anchors=_ANCHORS)] if recipe.uses_neighbors else [],
        randomness=dict(seed=0))


def _model(recipe: Recipe) -> dict[str, Any]:
    levels = 2 if recipe.method == 'hsa' else 1
    backbone: dict[str, Any] = dict(depth=recipe.depth)
    if recipe.has_small_views:  # a stem that keeps the resolution
        backbone = dict(
            _delete_=True, type='mmcls.ResNet_CIFAR', depth=recipe.depth, out_indices=(2, 3)[-levels:],
            base_channels=recipe.channels, stem_channels=recipe.channels)
    model: dict[str, Any] = dict(backbone=backbone, momentum=recipe.momentum)
    if recipe.method in ('byol', 'c2bin'):
        hidden, out = min(4096, 4 * recipe.dim), min(256, recipe.dim)
        model.update(neck=dict(in_channels=recipe.dim, hid_channels=hidden, out_channels=out),
                     head=dict(predictor=dict(in_channels=out, hid_channels=hidden, out_channels=out)))
        if recipe.method == 'c2bin':  # a cluster needs some images of a batch
            images = recipe.batch * recipe.processes
            model.update(type='C2BIN', cluster_head=dict(type='ClusterContrastHead', in_channels=recipe.dim),
                         num_clusters=(max(2, images // 8), max(4, images // 4)))
        return model
    model['channels_last'] = True
    if levels == 1:
        return dict(model, neck=dict(in_channels=recipe.dim, hid_channels=recipe.dim))
    sizes = dict(res4=recipe.dim // 2, res5=recipe.dim)
    return dict(model, neck={level: dict(in_channels=dim, hid_channels=dim) for level, dim in sizes.items()})
