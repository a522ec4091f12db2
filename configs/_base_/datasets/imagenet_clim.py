# The pipeline's parts have names, so that a config which inherits from this one can replace a single part: MMEngine
# takes a list as a whole.
_base_ = ['imagenet.py', 'views.py']

pair_views = dict(
    type='PairViews',
    load=[dict(type='LoadImage')],
    view=[dict(type='MultiRes', resolutions=(224, 160), transforms=_base_.photometric, **_base_.crop)])
mixing = dict(type='CutMix', alpha=2.0)
pack = dict(type='PackPair')

train_dataloader = dict(
    dataset=dict(type='NeighborPairs', dataset=_base_.source, pipeline=[pair_views, mixing, pack]))
