# The short run, with a warm-up of the same share.
_base_ = 'c2bin_r18_1xb512-1000e_cifar10.py'

param_scheduler = [dict(_base_.warm_up, end=10), dict(_base_.decay, begin=10)]
train_cfg = dict(max_epochs=200)
