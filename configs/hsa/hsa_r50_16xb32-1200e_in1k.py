# In CLIM's main setting.
_base_ = [
    '../_base_/models/hsa_r50.py',
    '../_base_/datasets/imagenet_hsa.py',
    '../_base_/schedules/sgd_b512_coslr.py',
    '../_base_/hsa_runtime.py',
]

train_cfg = dict(max_epochs=1200)
