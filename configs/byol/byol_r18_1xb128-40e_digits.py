# BYOL on 16x16 digits.
_base_ = [
    '../_base_/models/byol_r18_small.py',
    '../_base_/datasets/digits_two_views.py',
    '../_base_/schedules/sgd_b128_40e_small.py',
    '../_base_/optimizer_step_runtime.py',
]

extract = dict(
    batch_size=256,
    num_workers=2,
    pipeline=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(16, 16), backend='pillow'),
        dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
    ])

default_hooks = dict(logger=dict(interval=10))
