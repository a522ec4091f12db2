# The short run.
_base_ = '../byol/byol_r18_1xb512-200e_cifar100.py'

model = dict(
    type='C2BIN',
    cluster_head=dict(type='ClusterContrastHead', in_channels=512),
    num_clusters=(20, 40, 80))
