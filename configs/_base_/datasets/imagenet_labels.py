# ImageNet with labels: random crops and flips alone (paper 4.2; MoCo's linear evaluation), and the centre crop.
_base_ = 'imagenet.py'

data_preprocessor = dict(
    type='mmcls.ClsDataPreprocessor', num_classes=1000, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
    to_rgb=True)

train_dataloader = dict(
    collate_fn=dict(_delete_=True, type='default_collate'),
    dataset=dict(
        _base_.source,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='mmcls.RandomResizedCrop', scale=224, backend='pillow'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmcls.PackClsInputs'),
        ]))

val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        _base_.source,
        **_base_.held_out,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='CenterView', edge=256, crop_size=224),
            dict(type='mmcls.PackClsInputs'),
        ]))
val_evaluator = dict(type='mmcls.Accuracy', topk=(1, 5))
val_cfg = dict()
test_dataloader, test_evaluator, test_cfg = val_dataloader, val_evaluator, dict()
