# A plain NCE of the unmixed anchor beside the mixed loss [csml has such terms]; by default none [paper equation 4].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

train_dataloader = dict(dataset=dict(pipeline=[_base_.pair_views, dict(_base_.mixing, unmixed_term=True), _base_.pack]))
