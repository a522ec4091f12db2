# One resolution: center-wise in Table 6, 224 in Table 7, alpha 2.0 in Table 9. The other rows differ from it.
_base_ = '../clim_r50_16xb32-200e_in1k.py'

pair_views = dict(_base_.pair_views, view=[dict(_base_.pair_views.view[0], resolutions=(224, ))])
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
