# What refreshes and evaluations of the digits are given: the whole image at the side of a view. A config says
# extract = _base_.digits_view.
digits_view = dict(
    batch_size=256,
    num_workers=2,
    pipeline=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(16, 16), backend='pillow'),
        dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
    ])
