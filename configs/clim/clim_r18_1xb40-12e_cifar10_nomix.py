# Without mixing, the positive is pulled by a plain NCE (Table 6).
_base_ = 'clim_r18_1xb40-12e_cifar10.py'

train_dataloader = dict(dataset=dict(pipeline=[dict(_base_.pair_views, mixed=False), _base_.pack]))
