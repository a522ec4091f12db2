# The same for images of 96 pixels, with the usual stem [SCAN].
_base_ = 'byol_r18_cifar.py'

model = dict(
    backbone=dict(
        _delete_=True, type='mmselfsup.ResNet', depth=18, in_channels=3, out_indices=[4], norm_cfg=dict(type='BN')))
