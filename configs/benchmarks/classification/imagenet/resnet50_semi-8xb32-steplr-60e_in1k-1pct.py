_base_ = [
    '../../../_base_/models/resnet50_classifier.py',
    '../../../_base_/datasets/imagenet_labels.py',
    '../../../_base_/schedules/semi_b256_60e.py',
    '../../../_base_/evaluation_runtime.py',
]

train_dataloader = dict(dataset=dict(type='LabelSplit', split='data/imagenet/1percent.txt'))
