# The digits with labels, cropped as in their pretraining; not mirrored.
_base_ = 'imagenet_labels.py'

data_preprocessor = dict(num_classes=10)
held_out = dict(data_prefix='test')

train_dataloader = dict(
    num_workers=2,
    pin_memory=False,
    dataset=dict(
        data_root='data/digits',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='mmcls.RandomResizedCrop', scale=16, crop_ratio_range=(0.4, 1.0), backend='pillow'),
            dict(type='mmcls.PackClsInputs'),
        ]))
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data_root='data/digits',
        data_prefix='test',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='Resize', scale=(16, 16), backend='pillow'),
            dict(type='mmcls.PackClsInputs'),
        ]))
test_dataloader = val_dataloader
