_base_ = [
    '../../../_base_/models/resnet50_classifier.py',
    '../../../_base_/datasets/imagenet_labels.py',
    '../../../_base_/schedules/linear_b256_100e.py',
    '../../../_base_/evaluation_runtime.py',
]

model = dict(backbone=dict(frozen_stages=4))
custom_hooks = [dict(type='PretrainedBackboneHook', frozen=True)]
