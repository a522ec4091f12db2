# The backbone's pooled 2048-d features [csml]; by default the 128-d embedding [paper 3.2.1].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

default_hooks = dict(neighbors=dict(layer='pooled'))
