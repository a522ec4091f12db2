# CIFAR's one deterministic view, for `extract`: the image as it is.
view_pipeline = [
    dict(type='LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]
