# Two views of each image of CIFAR-10, drawn as in cifar10_clim.py.
_base_ = ['imagenet_two_views.py', 'whole_image.py']

held_out = dict(data_prefix='test')
crop = dict(scale=(0.08, 1.0))
photometric = [_base_.photometric[0], _base_.photometric[1], _base_.photometric[3]]  # jitter, gray, flip

train_dataloader = dict(
    num_workers=2,
    pin_memory=False,
    dataset=dict(
        dataset=dict(data_root='data/cifar10'),
        pipeline=[
            dict(type='LoadImage'),
            dict(
                type='mmselfsup.MultiView',
                num_views=2,
                transforms=[[
                    dict(type='mmselfsup.RandomResizedCrop', size=32, backend='pillow', **crop),
                    *photometric,
                ]]),
            dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
        ]))
