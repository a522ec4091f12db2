# BYOL's networks. `momentum` is the share that the target keeps at first: 0.99, as MMSelfSup's configs for 200 epochs.
model = dict(
    type='BYOL',
    momentum=0.99,
    data_preprocessor=dict(
        mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), bgr_to_rgb=True, non_blocking=True),
    backbone=dict(type='mmselfsup.ResNet', depth=50, in_channels=3, out_indices=[4], norm_cfg=dict(type='BN')),
    neck=dict(
        type='mmselfsup.NonLinearNeck', in_channels=2048, hid_channels=4096, out_channels=256, with_bias=True,
        with_last_bn=False, with_avg_pool=True, norm_cfg=dict(type='BN1d')),
    head=dict(
        type='mmselfsup.LatentPredictHead',
        predictor=dict(
            type='mmselfsup.NonLinearNeck', in_channels=256, hid_channels=4096, out_channels=256, with_bias=True,
            with_last_bn=False, with_avg_pool=False, norm_cfg=dict(type='BN1d')),
        loss=dict(type='mmselfsup.CosineSimilarityLoss', shift_factor=1.0)))
