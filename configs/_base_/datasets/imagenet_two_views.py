# Two views of each image, as MoCo and BYOL take them.
_base_ = ['imagenet.py', 'views.py']

train_dataloader = dict(
    dataset=dict(
        type='ImageSamples',
        dataset=_base_.source,
        pipeline=[
            dict(type='LoadImage'),
            dict(
                type='mmselfsup.MultiView',
                num_views=2,
                transforms=[[
                    dict(type='mmselfsup.RandomResizedCrop', size=224, backend='pillow', **_base_.crop),
                    *_base_.photometric,
                ]]),
            dict(type='mmselfsup.PackSelfSupInputs'),
        ]))
