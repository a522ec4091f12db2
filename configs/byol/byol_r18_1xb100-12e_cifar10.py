# A slim network on CIFAR-10, hours on two CPU cores for a study (configs/studies/cifar10.py).
_base_ = [
    '../_base_/models/byol_r18_small.py',
    '../_base_/datasets/cifar10_two_views.py',
    '../_base_/schedules/sgd_b100_12e_cifar10.py',
    '../_base_/optimizer_step_runtime.py',
]

model = dict(
    momentum=0.99,
    backbone=dict(base_channels=16, stem_channels=16),
    neck=dict(in_channels=128, hid_channels=512, out_channels=128),
    head=dict(predictor=dict(in_channels=128, hid_channels=512, out_channels=128)))
train_dataloader = dict(batch_size=100)
extract = _base_.whole_image
