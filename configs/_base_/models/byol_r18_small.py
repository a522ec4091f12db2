# A slim network, minutes on two CPU cores; the target follows within 10 steps of a run of some hundred.
_base_ = 'byol_r50.py'

model = dict(
    momentum=0.9,
    backbone=dict(
        _delete_=True, type='mmcls.ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8, out_indices=(3, )),
    neck=dict(in_channels=64, hid_channels=256, out_channels=64),
    head=dict(predictor=dict(in_channels=64, hid_channels=256, out_channels=64)))
