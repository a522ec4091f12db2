# 16x16 digits: the smallest set for tests and studies.
_base_ = [
    '../_base_/models/clim_r18_small.py',
    '../_base_/datasets/digits_clim.py',
    '../_base_/schedules/sgd_b32_20e_small.py',
    '../_base_/clim_runtime.py',
]

extract = _base_.digits_view

default_hooks = dict(logger=dict(interval=20), neighbors=dict(compare=('knn', 'kmeans')))
custom_hooks = [dict(type='KNNHook')]
