# Ten classes of drawn textures, 48x48, by tools/prepare_textures.py: their places, colours and light tell nothing of
# the class.
_base_ = ['imagenet_clim.py', 'textures_view.py']

held_out = dict(data_prefix='test')
pair_views = dict(
    _base_.pair_views,
    view=[dict(type='MultiRes', resolutions=(32, 24), transforms=_base_.textures_photometric, **_base_.textures_crop)])

train_dataloader = dict(
    num_workers=2,
    pin_memory=False,
    dataset=dict(dataset=dict(data_root='data/textures'), pipeline=[pair_views, _base_.mixing, _base_.pack]))
