_base_ = ['mmdet::_base_/datasets/voc0712.py', '../multi_scale.py']

train_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='TrainOnDifficult'),
    _base_.multi_scale_voc,
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
trainval = dict(
    type='VOCDataset',
    data_root=_base_.data_root,
    ann_file='VOC2007/ImageSets/Main/trainval.txt',
    data_prefix=dict(sub_data_root='VOC2007/'),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=train_pipeline)
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['dataset_type'],  # the only difference of the two: their year
        datasets=[
            trainval,
            dict(
                trainval,
                ann_file='VOC2012/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root='VOC2012/'))
        ]))

# `instances` is what CocoMetric takes the boxes from.
test_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'))
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# AP, AP50 and AP75 as MoCo reports them: the mean over ten thresholds as COCO has it, each by VOC2007's 11 points.
# Beside them the same detections by COCO's own evaluation.
val_evaluator = [
    dict(
        type='VOCMetric',
        metric='mAP',
        eval_mode='11points',
        iou_thrs=[0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]),
    dict(type='CocoMetric', metric='bbox')
]
test_evaluator = val_evaluator
