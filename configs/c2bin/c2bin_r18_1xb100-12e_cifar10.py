# BYOL there, and heads of C and 2C clusters for the C = 10 classes: 4C would ask for 160 images in a batch.
_base_ = '../byol/byol_r18_1xb100-12e_cifar10.py'

model = dict(
    type='C2BIN', cluster_head=dict(type='ClusterContrastHead', in_channels=128), num_clusters=(10, 20))
