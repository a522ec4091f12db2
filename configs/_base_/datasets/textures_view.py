# How views of the drawn textures look, whatever the method; and what refreshes and evaluations are given, the middle. A
# config says extract = _base_.textures_view.
textures_crop = dict(scale=(0.4, 1.0))
textures_photometric = [
    dict(type='RandomApply', transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4)], prob=0.8),
    dict(type='RandomFlip', prob=0.5),
]
textures_view = dict(
    batch_size=256,
    num_workers=2,
    pipeline=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(36, 36), backend='pillow'),
        dict(type='CenterCrop', crop_size=32),
        dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
    ])
