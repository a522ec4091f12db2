# C2BIN on 16x16 digits: BYOL there, and clusters. Heads of C, 2C and 4C clusters for the C = 10 digits would ask for
# 160 images in a batch; 2C fits 128. tau_c was found by trying.
_base_ = '../byol/byol_r18_1xb128-40e_digits.py'

model = dict(
    type='C2BIN',
    cluster_head=dict(type='ClusterContrastHead', in_channels=64, tau_c=0.5),
    num_clusters=(10, 20))
