# The quickstart's baseline: CLIM without positives is MoCo v2, with groups of batch statistics, which MMSelfSup's own
# lacks in one process.
_base_ = [
    '../_base_/models/clim_r18_small.py',
    '../_base_/datasets/textures_two_views.py',
    '../_base_/schedules/sgd_b32_20e_small.py',
    '../_base_/clim_runtime.py',
]

model = dict(backbone=dict(base_channels=8, stem_channels=8), neck=dict(in_channels=64))
extract = _base_.textures_view
optim_wrapper = dict(optimizer=dict(lr=0.06))  # as CLIM has it, where it was found by trying
auto_scale_lr = dict(base_lr=0.06)
default_hooks = dict(logger=dict(interval=20), neighbors=None)
train_cfg = dict(max_epochs=10)
