# Methods whose momentum encoder moves once per optimizer step.
_base_ = 'pretraining_runtime.py'

default_hooks = dict(optimizer_step=dict(type='OptimizerStepHook'))
