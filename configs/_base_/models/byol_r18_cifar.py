# ResNet-18 with the stem for 32x32 images [ProPos, solo-learn], and the smaller projector and predictor [lightly].
# The target keeps 0.996 of itself at first [ProPos].
_base_ = 'byol_r50.py'

model = dict(
    momentum=0.996,
    backbone=dict(_delete_=True, type='mmcls.ResNet_CIFAR', depth=18, out_indices=(3, )),
    neck=dict(in_channels=512, hid_channels=1024),
    head=dict(predictor=dict(hid_channels=1024)))
