# Rows of the paper's Tables 6 and 7, and MoCo v2, on the digits: at one resolution as there, then with multi-crop and
# at two. MoCo v2 is CLIM without a refresh: no image has a positive, lam is 1.
_clim = 'configs/clim/clim_r18_1xb32-20e_digits.py'
_nomix = 'configs/clim/clim_r18_1xb32-20e_digits_nomix.py'
_crops = 'configs/clim/clim_r18_1xb32-20e_digits_crops2x16and2x8.py'
_strategies = ('random', 'knn', 'kmeans', 'knn_kmeans', 'center_wise')
_strategy, _begin = 'default_hooks.neighbors.strategy', 'default_hooks.neighbors.begin'
_one = {'train_dataloader.dataset.pipeline.0.view.0.resolutions': (16, )}

rows = {
    'mocov2': dict(config=_nomix, options={**_one, _begin: 1000}),
    **{name: dict(config=_nomix, options={**_one, _strategy: name}) for name in _strategies},
    **{f'{name}+cutmix': dict(config=_clim, options={**_one, _strategy: name}) for name in _strategies},
    'center_wise+cutmix+crops': dict(config=_crops),
    'center_wise+cutmix+multires': dict(config=_clim),
    'center_wise+cutmix+multires+begin5': dict(config=_clim, options={_begin: 5}),
}
seeds = [0, 1, 2, 3, 4]
baseline = 'mocov2'
training = dict(
    linear=dict(config='configs/benchmarks/classification/digits/resnet18_linear-1xb32-steplr-30e_digits.py'),
    semi=dict(config='configs/benchmarks/classification/digits/resnet18_semi-1xb16-steplr-60e_digits-1pct.py'))
metrics = ['knn_20_top1', 'linear_top1', 'semi_top1', 'purity', 'intra_class_similarity']
options = {'default_hooks.preflight.seconds': 0}
comparisons = [
    ('random', 'mocov2'),
    ('random+cutmix', 'random'),
    ('knn_kmeans', 'mocov2'),
    *[(f'center_wise{mix}', f'{name}{mix}') for mix in ('', '+cutmix') for name in ('knn', 'kmeans', 'knn_kmeans')],
    ('center_wise+cutmix', 'center_wise'),
    ('center_wise+cutmix', 'mocov2'),
    ('center_wise+cutmix+multires', 'center_wise+cutmix'),
    ('center_wise+cutmix+multires', 'mocov2'),
    ('center_wise+cutmix', 'center_wise+cutmix+crops'),
    ('center_wise+cutmix+multires+begin5', 'center_wise+cutmix+multires'),
]
