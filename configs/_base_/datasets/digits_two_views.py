# Two crops of each digit, as of digits_clim.py: not mirrored and without colour.
_base_ = ['imagenet_two_views.py', 'digits_view.py']

held_out = dict(data_prefix='test')
view = [
    dict(type='mmselfsup.RandomResizedCrop', size=16, backend='pillow', scale=(0.4, 1.0)),
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4)],
        prob=0.8),
    dict(type='RandomGaussianBlur', sigma_min=0.1, sigma_max=1.0, prob=0.5),
]

train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    pin_memory=False,
    dataset=dict(
        dataset=dict(data_root='data/digits'),
        pipeline=[
            dict(type='LoadImage'),
            dict(type='mmselfsup.MultiView', num_views=2, transforms=[view]),
            dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
        ]))
