# Table 6.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

default_hooks = dict(neighbors=dict(strategy='knn_kmeans'))
