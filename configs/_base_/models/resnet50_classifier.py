# The pretrained backbone with a new linear layer on its pooled features. --pretrained FILE names the checkpoint.
model = dict(
    type='mmcls.ImageClassifier',
    backbone=dict(type='mmcls.ResNet', depth=50, norm_cfg=dict(type='BN')),
    neck=dict(type='mmcls.GlobalAveragePooling'),
    head=dict(
        type='mmcls.LinearClsHead', num_classes=1000, in_channels=2048, loss=dict(type='mmcls.CrossEntropyLoss')))
