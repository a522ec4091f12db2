# Table 9.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

train_dataloader = dict(dataset=dict(pipeline=[_base_.pair_views, dict(_base_.mixing, alpha=1.0), _base_.pack]))
