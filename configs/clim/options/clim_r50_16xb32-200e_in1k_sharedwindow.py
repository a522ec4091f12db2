# Query and key from the same window of an image [paper 3.3, read otherwise]; by default each from its own [ours].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

train_dataloader = dict(
    dataset=dict(pipeline=[dict(_base_.pair_views, shared_window=True), _base_.mixing, _base_.pack]))
