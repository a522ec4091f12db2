# Table 10: the best alpha of MixUp.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

train_dataloader = dict(dataset=dict(pipeline=[_base_.pair_views, dict(type='MixUp', alpha=0.2), _base_.pack]))
