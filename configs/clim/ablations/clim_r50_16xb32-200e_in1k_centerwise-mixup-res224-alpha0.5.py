# Table 10: an alpha that did worse in the paper, which one is ours.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

train_dataloader = dict(dataset=dict(pipeline=[_base_.pair_views, dict(type='MixUp', alpha=0.5), _base_.pack]))
