# The baseline: MMSelfSup's own MoCo v2 in CLIM's setting.
_base_ = [
    '../_base_/models/mocov2_r50.py',
    '../_base_/datasets/imagenet_two_views.py',
    '../_base_/schedules/sgd_b512_coslr.py',
    '../_base_/pretraining_runtime.py',
]
