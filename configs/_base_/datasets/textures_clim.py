# Ten classes of drawn textures, 48x48, by tools/prepare_textures.py: their places, colours and light tell nothing of
# the class.
_base_ = ['imagenet_clim.py', 'textures_view.py']

held_out = dict(data_prefix='test')
photometric = [
    dict(type='RandomApply', transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4)], prob=0.8),
    dict(type='RandomFlip', prob=0.5),
]
pair_views = dict(
    _base_.pair_views,
    view=[dict(type='MultiRes', resolutions=(32, 24), scale=(0.4, 1.0), transforms=photometric)])

train_dataloader = dict(
    num_workers=2,
    pin_memory=False,
    dataset=dict(dataset=dict(data_root='data/textures'), pipeline=[pair_views, _base_.mixing, _base_.pack]))
