# BYOL on STL-10, as the base of C2BIN there.
_base_ = [
    '../_base_/models/byol_r18.py',
    '../_base_/datasets/stl10_two_views.py',
    '../_base_/schedules/sgd_b512_1000e.py',
    '../_base_/optimizer_step_runtime.py',
]

train_dataloader = dict(batch_size=256)
extract = _base_.whole_image
default_hooks = dict(checkpoint=dict(interval=20))

auto_scale_lr = dict(base_batch_size=256)  # the same rate [ProPos]
