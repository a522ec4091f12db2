"""Multi-scale training, as the protocol has it [moco]: the shorter side is drawn for each image."""

multi_scale = dict(
    type='RandomChoiceResize', scales=[(1333, side) for side in range(640, 801, 32)], keep_ratio=True)
multi_scale_voc = dict(
    type='RandomChoiceResize', scales=[(1333, side) for side in range(480, 801, 32)], keep_ratio=True)
