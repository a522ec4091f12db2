# The same on a crop of a digit and one of its neighbour.
_base_ = 'toy_simclr_digits.py'

model = dict(views=('query', 'positive_key'))
pairs = dict(
    type='PairViews', load=[dict(type='LoadImage')], mixed=False,
    view=[dict(type='MultiRes', resolutions=(16, ), scale=(0.4, 1.0))])
train_dataloader = dict(dataset=dict(type='NeighborPairs', pipeline=[pairs, dict(type='PackPair')]))
default_hooks = dict(neighbors=dict(type='CenterWiseNeighborHook', interval=1, encoder='query'))
