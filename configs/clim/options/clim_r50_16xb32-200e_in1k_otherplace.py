# The patch from a place of its own [the paper's "randomly selected patch"]; by default from the same place [csml].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

train_dataloader = dict(dataset=dict(pipeline=[_base_.pair_views, dict(_base_.mixing, same_place=False), _base_.pack]))
