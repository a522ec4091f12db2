# A network half as wide.
_base_ = 'resnet18_digits_classifier.py'

model = dict(backbone=dict(base_channels=8, stem_channels=8), head=dict(in_channels=64))
