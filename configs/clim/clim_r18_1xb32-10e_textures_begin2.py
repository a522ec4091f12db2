# The quickstart: as many epochs as two minutes or three on two CPU cores allow.
_base_ = 'clim_r18_1xb32-20e_textures_begin5.py'

default_hooks = dict(neighbors=dict(begin=2))
train_cfg = dict(max_epochs=10)
