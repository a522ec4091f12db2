# As digits_clim.py, at one resolution; the unmixed queries are terms of the loss, too [csml].
_base_ = 'digits_clim.py'

pair_views = dict(
    _base_.pair_views,
    view=[dict(_base_.pair_views.view[0], resolutions=(16, ))],
    unmixed=('anchor', 'positive'))
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
