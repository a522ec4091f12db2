# Table 8; the number of clusters is ours.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

custom_hooks = [dict(_base_.custom_hooks[0], num_clusters=5000)]
