# The five nearest neighbours by pooled features of the momentum encoder [csml].
_base_ = 'clim_runtime.py'

default_hooks = dict(neighbors=dict(strategy='knn', num_neighbors=5, layer='pooled'))
