# The released recipe [csml], with a second level.
_base_ = [
    '../_base_/models/hsa_r50.py',
    '../_base_/datasets/imagenet_hsa.py',
    '../_base_/schedules/sgd_b256_coslr.py',
    '../_base_/hsa_runtime.py',
]
