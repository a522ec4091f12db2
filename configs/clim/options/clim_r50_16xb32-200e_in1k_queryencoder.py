# Features of the query encoder; by default of the momentum encoder [csml].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

default_hooks = dict(neighbors=dict(encoder='query'))
