# The quickstart: a slim ResNet-18 on the digits, minutes on two CPU cores. Momentum and queue fit a short run on a
# small set: 22 steps an epoch, 1,437 images.
_base_ = [
    '../_base_/models/clim_r50.py',
    '../_base_/datasets/digits_clim.py',
    '../_base_/neighbors/center_wise.py',
    '../_base_/schedules/sgd_b512_coslr.py',
    '../_base_/default_runtime.py',
]

model = dict(
    queue_len=1024,
    momentum=0.99,
    backbone=dict(
        _delete_=True, type='mmcls.ResNet_CIFAR', depth=18, base_channels=16, stem_channels=16, out_indices=(3, )),
    neck=dict(in_channels=128, hid_channels=128, out_channels=128))

custom_hooks = [
    dict(
        _base_.custom_hooks[0],
        compare=('knn', 'kmeans'),
        extract=dict(
            batch_size=256,
            num_workers=2,
            pipeline=[dict(type='LoadImage'), dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx'])]))
]

train_cfg = dict(max_epochs=40)
default_hooks = dict(logger=dict(interval=10))
randomness = dict(seed=0)
