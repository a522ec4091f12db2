# A second small set for studies: not aligned as the digits are, so that pixels alone do not tell the classes apart.
# Neighbours of a random network are of the wrong class; MoCo v2 comes first.
_base_ = [
    '../_base_/models/clim_r18_small.py',
    '../_base_/datasets/textures_clim.py',
    '../_base_/schedules/sgd_b32_20e_small.py',
    '../_base_/clim_runtime.py',
]

model = dict(backbone=dict(base_channels=8, stem_channels=8), neck=dict(in_channels=64))

extract = dict(
    batch_size=256,
    num_workers=2,
    pipeline=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(36, 36), backend='pillow'),
        dict(type='CenterCrop', crop_size=32),
        dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
    ])

optim_wrapper = dict(optimizer=dict(lr=0.06))  # found by trying
auto_scale_lr = dict(base_lr=0.06)
default_hooks = dict(logger=dict(interval=20), neighbors=dict(begin=5, compare=('knn', 'kmeans')))
custom_hooks = [dict(type='KNNHook')]
