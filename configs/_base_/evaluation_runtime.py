# What an evaluation by training reports: accuracy at every `val_interval`, and the best checkpoint.
_base_ = 'default_runtime.py'

default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=2, save_best='auto'))
custom_hooks = [dict(type='PretrainedBackboneHook')]
