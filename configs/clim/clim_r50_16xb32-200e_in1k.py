# The paper's setting for its ablations: 16 processes of 32 images, 200 epochs.
_base_ = [
    '../_base_/models/clim_r50.py',
    '../_base_/datasets/imagenet_clim.py',
    '../_base_/schedules/sgd_b512_coslr.py',
    '../_base_/clim_runtime.py',
]
