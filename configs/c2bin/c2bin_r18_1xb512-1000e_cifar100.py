# C2BIN on CIFAR-100: heads of C, 2C and 4C clusters for its C = 20 super-classes [ours].
_base_ = '../byol/byol_r18_1xb512-1000e_cifar100.py'

model = dict(
    type='C2BIN',
    cluster_head=dict(type='ClusterContrastHead', in_channels=512),
    num_clusters=(20, 40, 80))
