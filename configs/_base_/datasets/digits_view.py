# The digits' one deterministic view, for `extract`.
view_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', scale=(16, 16), backend='pillow'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]
