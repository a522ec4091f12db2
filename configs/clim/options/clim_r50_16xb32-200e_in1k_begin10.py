# Plain MoCo for ten epochs, then the first refresh; by default it comes before the first epoch [ours].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

default_hooks = dict(neighbors=dict(begin=10))
