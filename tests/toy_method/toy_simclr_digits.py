# SimCLR on two crops of a digit.
_base_ = [
    '../../configs/_base_/datasets/imagenet.py',
    '../../configs/_base_/schedules/sgd_b32_20e_small.py',
    '../../configs/_base_/pretraining_runtime.py',
]
custom_imports = dict(imports=['clim_mm', 'toy_method.algorithm', 'toy_method.head'])
held_out = dict(data_prefix='test')
model = dict(
    type='ToySimCLR',
    backbone=dict(type='mmcls.ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8, out_indices=(3, )),
    neck=dict(type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=64, out_channels=32, with_avg_pool=True),
    head=dict(type='InBatchHead', temperature=0.2),
    data_preprocessor=dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), bgr_to_rgb=True))
crop = dict(type='mmselfsup.RandomResizedCrop', size=16, scale=(0.4, 1.0), backend='pillow')
pack = dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx'])
pipeline = [dict(type='LoadImage'), dict(type='mmselfsup.MultiView', num_views=2, transforms=[[crop]]), pack]
train_dataloader = dict(
    num_workers=1, pin_memory=False, dataset=dict(type='ImageSamples', dataset=_base_.source, pipeline=pipeline))
extract = dict(
    num_workers=1,
    pipeline=[dict(type='LoadImage'), dict(type='Resize', scale=(16, 16), backend='pillow'), pack])
