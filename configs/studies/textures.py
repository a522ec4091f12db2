# The rows of digits.py on drawn textures. Their first refresh is at epoch 5, but in the last row: see docs/study.md.
_base_ = 'digits.py'

_clim = 'configs/clim/clim_r18_1xb32-20e_textures_begin5.py'
_nomix = 'configs/clim/clim_r18_1xb32-20e_textures_begin5-nomix.py'
_crops = 'configs/clim/clim_r18_1xb32-20e_textures_begin5-crops2x32and2x16.py'
_strategies = ('random', 'knn', 'kmeans', 'knn_kmeans', 'center_wise')
_strategy, _begin = 'default_hooks.neighbors.strategy', 'default_hooks.neighbors.begin'
_one = {'train_dataloader.dataset.pipeline.0.view.0.resolutions': (32, )}

rows = {
    '_delete_': True,
    'mocov2': dict(config=_nomix, options={**_one, _begin: 1000}),
    **{name: dict(config=_nomix, options={**_one, _strategy: name}) for name in _strategies},
    **{f'{name}+cutmix': dict(config=_clim, options={**_one, _strategy: name}) for name in _strategies},
    'center_wise+cutmix+crops': dict(config=_crops),
    'center_wise+cutmix+multires': dict(config=_clim),
    'center_wise+cutmix+multires+begin0': dict(config=_clim, options={_begin: 0}),
}
training = dict(
    linear=dict(config='configs/benchmarks/classification/textures/resnet18_linear-1xb32-steplr-30e_textures.py'),
    semi=dict(config='configs/benchmarks/classification/textures/resnet18_semi-1xb16-steplr-60e_textures-1pct.py'))
comparisons = [*_base_.comparisons[:-1], ('center_wise+cutmix+multires+begin0', 'center_wise+cutmix+multires')]
