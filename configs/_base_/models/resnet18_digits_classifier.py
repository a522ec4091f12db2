# The slim network of the digits' pretraining.
_base_ = 'resnet50_classifier.py'

model = dict(
    backbone=dict(type='mmcls.ResNet_CIFAR', depth=18, base_channels=16, stem_channels=16),
    head=dict(num_classes=10, in_channels=128, topk=(1, 5)))
