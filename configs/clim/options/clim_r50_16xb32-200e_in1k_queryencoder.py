# Features of the query encoder; by default of the momentum encoder [csml].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

custom_hooks = [dict(_base_.custom_hooks[0], encoder='query')]
