# Table 11.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-nomix-res224.py'

train_cfg = dict(max_epochs=800)
