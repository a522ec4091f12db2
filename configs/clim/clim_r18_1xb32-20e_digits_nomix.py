# Without mixing, the positive is pulled by a plain NCE (Table 6).
_base_ = 'clim_r18_1xb32-20e_digits.py'

train_dataloader = dict(dataset=dict(pipeline=[dict(_base_.pair_views, mixed=False), _base_.pack]))
