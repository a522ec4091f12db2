# 16x16 digits, in the setting of CLIM's.
_base_ = [
    '../_base_/models/hsa_r18_small.py',
    '../_base_/datasets/digits_hsa.py',
    '../_base_/schedules/sgd_b32_20e_small.py',
    '../_base_/hsa_runtime.py',
]

extract = _base_.digits_view
default_hooks = dict(logger=dict(interval=20))
custom_hooks = [dict(type='KNNHook')]
