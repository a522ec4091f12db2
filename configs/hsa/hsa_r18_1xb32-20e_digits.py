# 16x16 digits, in the quickstart's setting.
_base_ = [
    '../_base_/models/hsa_r18_small.py',
    '../_base_/datasets/digits_hsa.py',
    '../_base_/schedules/sgd_b32_20e_small.py',
    '../_base_/hsa_runtime.py',
]

extract = dict(batch_size=256, num_workers=2, pipeline=_base_.view_pipeline)
default_hooks = dict(logger=dict(interval=20))
custom_hooks = [dict(type='KNNHook')]
