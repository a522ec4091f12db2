# Table 8; the number of clusters is ours.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

default_hooks = dict(neighbors=dict(num_clusters=20000))
