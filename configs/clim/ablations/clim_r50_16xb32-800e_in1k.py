# Table 11: all components.
_base_ = '../clim_r50_16xb32-200e_in1k.py'

train_cfg = dict(max_epochs=800)
