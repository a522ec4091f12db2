"""Configs that are written for a recipe: what the recipe says is what is trained."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from clim_mm.launch.config_checks import check_config
from clim_mm.pretraining.recipe import METHODS, Recipe
from clim_mm.pretraining.recipe_config import config_text
from clim_mm.registry import MODELS

SIZES = {'small': ('resnet18', 16, 32), 'usual': ('resnet50', 64, 96)}


def recipe_of(method, size, **options):
    return Recipe('/images', 2000, method, *SIZES[size], **dict(
        dict(batch=64, processes=1, on_gpu=False, workers=2, bf16=True, epochs=40), **options))


def config_of(recipe, tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(config_text(recipe))
    return Config.fromfile(path)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('method', METHODS)
def test_every_method(method, size, tmp_path):
    recipe = recipe_of(method, size)
    cfg = config_of(recipe, tmp_path)
    check_config(cfg)
    loader = cfg.train_dataloader
    assert (loader.batch_size, loader.num_workers, loader.pin_memory) == (64, 2, False)
    assert loader.dataset.dataset == dict(type='clim_mm.ImageFolder', data_root='/images')
    assert cfg.optim_wrapper.type == 'Bf16OptimWrapper' and cfg.optim_wrapper.optimizer.lr == recipe.lr
    assert cfg.train_cfg.max_epochs == 40 and cfg.model.momentum == 0.99
    sides = [step.get('resolutions') or (step['size'], ) for view in views_of(loader.dataset.pipeline) for step in view
             if 'RandomResizedCrop' in step['type'] or step['type'] == 'MultiRes']
    assert sides and {tuple(side) for side in sides} == {recipe.views}
    assert ('Blur' in str(loader.dataset.pipeline)) == (size == 'usual')
    assert cfg.extract.pipeline[1].crop_size == recipe.size
    neighbors = cfg.default_hooks.get('neighbors')
    assert (neighbors is not None) == recipe.uses_neighbors
    if neighbors is not None:
        assert (neighbors.begin, neighbors.interval) == (10, 4)
    init_default_scope('clim_mm')
    model = MODELS.build(cfg.model)
    shape = [stage.shape for stage in model.backbone(model_input(recipe))][-1]
    assert shape[1] == recipe.dim


def views_of(pipeline):
    """Of each view its transforms."""
    for step in pipeline:
        if step['type'] == 'PairViews':
            yield step['view']
        elif step['type'] == 'mmselfsup.MultiView':
            yield from step['transforms']


def model_input(recipe):
    import torch
    return torch.zeros(1, 3, recipe.size, recipe.size)


def test_settings_of_gpus_and_odd_paths(tmp_path):
    cfg = config_of(recipe_of('clim', 'usual', on_gpu=True, bf16=False, batch=32, processes=2), tmp_path)
    assert cfg.train_dataloader.pin_memory and cfg.optim_wrapper.type == 'OptimWrapper'
    assert cfg.auto_scale_lr.base_batch_size == 64 and cfg.auto_scale_lr.base_lr == cfg.optim_wrapper.optimizer.lr
    odd = Recipe('/a "b" {c}\'s\\n', 2000, 'clim', 'resnet18', 16, 32, 64, 1, False, 2)
    assert config_of(odd, tmp_path).train_dataloader.dataset.dataset.data_root == '/a "b" {c}\'s\\n'
