# CIFAR-10 in class folders, 32x32, by tools/prepare_cifar.py: one resolution, and no blur, as usual at this size
# [ProPos, CC, solo-learn].
_base_ = ['imagenet_clim.py', 'cifar10_view.py']

held_out = dict(data_prefix='test')
photometric = [*_base_.photometric[:2], _base_.photometric[3]]
pair_views = dict(
    _base_.pair_views, view=[dict(type='MultiRes', resolutions=(32, ), transforms=photometric, **_base_.crop)])

train_dataloader = dict(
    num_workers=2,
    dataset=dict(dataset=dict(data_root='data/cifar10'), pipeline=[pair_views, _base_.mixing, _base_.pack]))
