# Rows of the paper's Tables 6 and 7, and MoCo v2, on the digits: at one resolution as there, then with
# multi-crop and at two.
# MoCo v2 is CLIM without a refresh: no image has a positive, lam is 1.
_clim = 'configs/clim/clim_r18_1xb32-20e_digits.py'
_nomix = 'configs/clim/clim_r18_1xb32-20e_digits_nomix.py'
_strategy = 'custom_hooks.0.strategy'
_resolutions = 'train_dataloader.dataset.pipeline.0.view.0.resolutions'
_one = {_resolutions: (16, )}

rows = {
    'mocov2': dict(config=_nomix, options={**_one, 'custom_hooks.0.begin': 1000}),
    'random': dict(config=_nomix, options={**_one, _strategy: 'random'}),
    'knn': dict(config=_nomix, options={**_one, _strategy: 'knn'}),
    'kmeans': dict(config=_nomix, options={**_one, _strategy: 'kmeans'}),
    'knn_kmeans': dict(config=_nomix, options={**_one, _strategy: 'knn_kmeans'}),
    'center_wise': dict(config=_nomix, options=_one),
    'random+cutmix': dict(config=_clim, options={**_one, _strategy: 'random'}),
    'knn+cutmix': dict(config=_clim, options={**_one, _strategy: 'knn'}),
    'kmeans+cutmix': dict(config=_clim, options={**_one, _strategy: 'kmeans'}),
    'knn_kmeans+cutmix': dict(config=_clim, options={**_one, _strategy: 'knn_kmeans'}),
    'center_wise+cutmix': dict(config=_clim, options=_one),
    'center_wise+cutmix+crops': dict(config='configs/clim/clim_r18_1xb32-20e_digits_crops2x16and2x8.py'),
    'center_wise+cutmix+multires': dict(config=_clim),
    'center_wise+cutmix+multires+begin5': dict(config=_clim, options={'custom_hooks.0.begin': 5}),
}
seeds = [0, 1, 2, 3, 4]
baseline = 'mocov2'
training = dict(
    linear=dict(config='configs/benchmarks/classification/digits/resnet18_linear-1xb32-steplr-30e_digits.py'),
    semi=dict(config='configs/benchmarks/classification/digits/resnet18_semi-1xb16-steplr-60e_digits-1pct.py'))
metrics = ['knn_20_top1', 'linear_top1', 'semi_top1', 'purity', 'intra_class_similarity']
options = {'default_hooks.preflight.seconds': 0}
