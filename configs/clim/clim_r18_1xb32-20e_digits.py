# The quickstart: 16x16 digits.
_base_ = [
    '../_base_/models/clim_r18_small.py',
    '../_base_/datasets/digits_clim.py',
    '../_base_/schedules/sgd_b32_20e_small.py',
    '../_base_/clim_runtime.py',
]

extract = dict(batch_size=256, num_workers=2, pipeline=_base_.view_pipeline)

default_hooks = dict(logger=dict(interval=20), neighbors=dict(compare=('knn', 'kmeans')))
custom_hooks = [dict(type='KNNHook')]
