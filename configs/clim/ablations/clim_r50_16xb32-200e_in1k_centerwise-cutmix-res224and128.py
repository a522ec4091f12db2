# Table 7 with another second resolution [ours].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

pair_views = dict(_base_.pair_views, view=[dict(_base_.pair_views.view[0], resolutions=(224, 128))])
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
