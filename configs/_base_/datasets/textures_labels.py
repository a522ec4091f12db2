# The textures with labels, cropped and mirrored as in their pretraining.
_base_ = 'digits_labels.py'

train_dataloader = dict(
    dataset=dict(
        data_root='data/textures',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='mmcls.RandomResizedCrop', scale=32, crop_ratio_range=(0.4, 1.0), backend='pillow'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmcls.PackClsInputs'),
        ]))
val_dataloader = dict(
    dataset=dict(
        data_root='data/textures',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='Resize', scale=(36, 36), backend='pillow'),
            dict(type='CenterCrop', crop_size=32),
            dict(type='mmcls.PackClsInputs'),
        ]))
test_dataloader = val_dataloader
