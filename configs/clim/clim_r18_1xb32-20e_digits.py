# The quickstart: a slim ResNet-18 on 16x16 digits, minutes on two CPU cores. What differs from ImageNet's setting fits
# a run of 900 steps: the momentum encoder follows within 100 steps, and the queue holds the keys of 8 steps, since
# older ones would be told apart by their age.
_base_ = [
    '../_base_/models/clim_r50.py',
    '../_base_/datasets/digits_clim.py',
    '../_base_/neighbors/center_wise.py',
    '../_base_/schedules/sgd_b512_coslr.py',
    '../_base_/clim_runtime.py',
]

model = dict(
    queue_len=256,
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
            pipeline=[
                dict(type='LoadImage'),
                dict(type='Resize', scale=(16, 16), backend='pillow'),
                dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
            ])),
    dict(type='KNNHook'),
]

optim_wrapper = dict(optimizer=dict(lr=0.02))
train_cfg = dict(max_epochs=20)
# The learning rate was found by trying; the rule for ImageNet's does not hold here.
default_hooks = dict(logger=dict(interval=20), preflight=dict(lr_of_512=None))
randomness = dict(seed=0)
