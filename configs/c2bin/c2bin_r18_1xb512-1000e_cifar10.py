# C2BIN on CIFAR-10: heads of C, 2C and 4C clusters for its C = 10 classes [ours].
_base_ = '../byol/byol_r18_1xb512-1000e_cifar10.py'

model = dict(
    type='C2BIN',
    cluster_head=dict(type='ClusterContrastHead', in_channels=512),
    num_clusters=(10, 20, 40))
