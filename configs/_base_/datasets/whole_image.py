# What refreshes and evaluations of small images are given: the image as it is. A config says
# extract = _base_.whole_image.
whole_image = dict(
    batch_size=256,
    num_workers=2,
    pipeline=[dict(type='LoadImage'), dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx'])])
