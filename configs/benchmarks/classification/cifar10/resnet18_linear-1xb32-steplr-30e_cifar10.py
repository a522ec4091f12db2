_base_ = [
    '../../../_base_/models/resnet18_cifar10_classifier.py',
    '../../../_base_/datasets/cifar10_labels.py',
    '../../../_base_/schedules/linear_b32_30e_small.py',
    '../../../_base_/evaluation_runtime.py',
]

model = dict(backbone=dict(frozen_stages=4))
custom_hooks = [dict(type='PretrainedBackboneHook', frozen=True)]
