# CIFAR-10 with labels, cropped and mirrored; tested on the image as it is.
_base_ = 'digits_labels.py'

train_dataloader = dict(
    dataset=dict(
        data_root='data/cifar10',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='mmcls.RandomResizedCrop', scale=32, backend='pillow'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmcls.PackClsInputs'),
        ]))
val_dataloader = dict(
    dataset=dict(data_root='data/cifar10', pipeline=[dict(type='LoadImage'), dict(type='mmcls.PackClsInputs')]))
test_dataloader = val_dataloader
