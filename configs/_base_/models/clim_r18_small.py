# A slim network, minutes on two CPU cores. What differs from ImageNet's setting fits a run of 900 steps: the momentum
# encoder follows within 100 steps, and the queue holds the keys of 8 steps, since older ones would be told apart by
# their age.
_base_ = 'clim_r50.py'

model = dict(
    queue_len=256,
    momentum=0.99,
    backbone=dict(
        _delete_=True, type='mmcls.ResNet_CIFAR', depth=18, base_channels=16, stem_channels=16, out_indices=(3, )),
    neck=dict(in_channels=128, hid_channels=128, out_channels=128))
