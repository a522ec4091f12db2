# CIFAR-10 as class folders, by tools/prepare_cifar.py: 32x32, so that blur is left out, and large changes of scale as
# in ProPos and CC.
_base_ = ['imagenet_clim.py', 'whole_image.py']

held_out = dict(data_prefix='test')
crop = dict(scale=(0.08, 1.0))
photometric = [_base_.photometric[0], _base_.photometric[1], _base_.photometric[3]]  # jitter, gray, flip
pair_views = dict(
    _base_.pair_views,
    view=[dict(type='MultiRes', resolutions=(32, ), transforms=photometric, **crop)])

train_dataloader = dict(
    num_workers=2,
    pin_memory=False,
    dataset=dict(dataset=dict(data_root='data/cifar10'), pipeline=[pair_views, _base_.mixing, _base_.pack]))
