# Plain MoCo for ten epochs, then the first refresh; by default it comes before the first epoch [ours].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

custom_hooks = [dict(_base_.custom_hooks[0], begin=10)]
