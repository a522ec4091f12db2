# What refreshes and evaluations of the drawn textures are given: the middle. A config says
# extract = _base_.textures_view.
textures_view = dict(
    batch_size=256,
    num_workers=2,
    pipeline=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(36, 36), backend='pillow'),
        dict(type='CenterCrop', crop_size=32),
        dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
    ])
