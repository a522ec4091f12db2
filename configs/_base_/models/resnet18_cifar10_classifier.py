# ResNet-18 of full width with the stem for 32x32 images.
_base_ = 'resnet18_digits_classifier.py'

model = dict(backbone=dict(base_channels=64, stem_channels=64), head=dict(in_channels=512))
