# Table 6: without mixing, the positive is pulled by a plain NCE.
_base_ = 'clim_r50_16xb32-200e_in1k_knn-cutmix-res224.py'

train_dataloader = dict(dataset=dict(pipeline=[dict(_base_.pair_views, mixed=False), _base_.pack]))
