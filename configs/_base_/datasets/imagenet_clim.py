_base_ = ['imagenet.py', 'views.py']

train_dataloader = dict(
    dataset=dict(
        type='NeighborPairs',
        dataset=_base_.source,
        pipeline=[
            dict(
                type='PairViews',
                load=[dict(type='LoadImage')],
                view=[dict(type='MultiRes', resolutions=(224, 160), transforms=_base_.photometric, **_base_.crop)]),
            dict(type='CutMix', alpha=2.0),
            dict(type='PackPair'),
        ]))
