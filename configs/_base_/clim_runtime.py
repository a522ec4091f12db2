# The queue, and the neighbours: None derives the number from the set's size N: min(10000, N // 16) clusters and
# min(40, max(5, N // 100)) neighbours, which on ImageNet are the paper's 10,000 and 40 (A.2). Above 100,000 images they
# are found by samples of the images and in the nearest clusters (`exact`).
_base_ = 'pretraining_runtime.py'

default_hooks = dict(
    queue=dict(type='QueueHook'),
    neighbors=dict(
        type='CenterWiseNeighborHook',
        interval=5,
        num_clusters=None,
        num_neighbors=None,
        strategy='center_wise'))
