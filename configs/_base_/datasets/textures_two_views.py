# Two crops of each drawn texture, as of textures_clim.py, at its larger resolution.
_base_ = ['imagenet_two_views.py', 'textures_view.py']

held_out = dict(data_prefix='test')
view = [
    dict(type='mmselfsup.RandomResizedCrop', size=32, backend='pillow', **_base_.textures_crop),
    *_base_.textures_photometric,
]

train_dataloader = dict(
    num_workers=2,
    pin_memory=False,
    dataset=dict(
        dataset=dict(data_root='data/textures'),
        pipeline=[
            dict(type='LoadImage'),
            dict(type='mmselfsup.MultiView', num_views=2, transforms=[view]),
            dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
        ]))
