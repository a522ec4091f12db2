# BYOL on 16x16 digits.
_base_ = [
    '../_base_/models/byol_r18_small.py',
    '../_base_/datasets/digits_two_views.py',
    '../_base_/schedules/sgd_b128_40e_small.py',
    '../_base_/optimizer_step_runtime.py',
]

extract = _base_.digits_view
default_hooks = dict(logger=dict(interval=10))
