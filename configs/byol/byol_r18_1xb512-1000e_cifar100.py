# BYOL on CIFAR-100, as the base of C2BIN there.
_base_ = [
    '../_base_/models/byol_r18_cifar.py',
    '../_base_/datasets/cifar100_two_views.py',
    '../_base_/schedules/sgd_b512_1000e.py',
    '../_base_/optimizer_step_runtime.py',
]

train_dataloader = dict(batch_size=512)
extract = _base_.whole_image
default_hooks = dict(checkpoint=dict(interval=20))
