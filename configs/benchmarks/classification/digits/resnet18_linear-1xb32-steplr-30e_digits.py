_base_ = [
    '../../../_base_/models/resnet18_digits_classifier.py',
    '../../../_base_/datasets/digits_labels.py',
    '../../../_base_/schedules/linear_b256_100e.py',
    '../../../_base_/evaluation_runtime.py',
]

model = dict(backbone=dict(frozen_stages=4))
optim_wrapper = dict(optimizer=dict(lr=0.5))  # found by trying: 3.75, the rule's, swings
param_scheduler = [dict(_base_.param_scheduler[0], milestones=[18, 24])]
train_cfg = dict(max_epochs=30)
custom_hooks = [dict(type='PretrainedBackboneHook', frozen=True)]
