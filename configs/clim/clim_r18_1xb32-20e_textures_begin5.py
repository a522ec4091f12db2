# A second small set for studies: not aligned as the digits are, so that pixels alone do not tell the classes apart.
# Neighbours of a random network are of the wrong class; MoCo v2 comes first.
_base_ = [
    '../_base_/models/clim_r18_small.py',
    '../_base_/datasets/textures_clim.py',
    '../_base_/schedules/sgd_b32_20e_small.py',
    '../_base_/clim_runtime.py',
]

model = dict(backbone=dict(base_channels=8, stem_channels=8), neck=dict(in_channels=64))

extract = _base_.textures_view

optim_wrapper = dict(optimizer=dict(lr=0.06))  # found by trying
auto_scale_lr = dict(base_lr=0.06)
default_hooks = dict(logger=dict(interval=20), neighbors=dict(begin=5, compare=('knn', 'kmeans')))
custom_hooks = [dict(type='KNNHook')]
