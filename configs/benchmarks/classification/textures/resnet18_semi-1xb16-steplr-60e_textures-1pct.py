_base_ = [
    '../../../_base_/models/resnet18_textures_classifier.py',
    '../../../_base_/datasets/textures_labels.py',
    '../../../_base_/schedules/semi_b256_60e.py',
    '../../../_base_/evaluation_runtime.py',
]

train_dataloader = dict(
    batch_size=16, drop_last=False, dataset=dict(type='LabelSplit', split='data/textures/1percent.txt'))
