# CLIM without positives is MoCo v2, with groups of batch statistics, which MMSelfSup's own lacks in one process.
_base_ = [
    '../_base_/models/clim_r18_small.py',
    '../_base_/datasets/cifar10_two_views.py',
    '../_base_/schedules/sgd_b40_12e_cifar10.py',
    '../_base_/clim_runtime.py',
]

model = dict(queue_len=None)
train_dataloader = dict(batch_size=40)
extract = _base_.whole_image
optim_wrapper = dict(optimizer=dict(lr=0.06))
auto_scale_lr = dict(base_lr=0.06)
default_hooks = dict(neighbors=None)
