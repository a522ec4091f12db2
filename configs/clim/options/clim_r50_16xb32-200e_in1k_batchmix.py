# One box and one lam for a batch of a process [csml]; by default for each sample [ours].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

train_dataloader = dict(dataset=dict(pipeline=[_base_.pair_views, dict(_base_.mixing, per_batch=True), _base_.pack]))
