# As cifar10_clim.py; the unmixed queries are terms of the loss, too [csml].
_base_ = 'cifar10_clim.py'

pair_views = dict(_base_.pair_views, unmixed=('anchor', 'positive'))
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
