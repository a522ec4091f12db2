# Multi-crop as in Table 7: at 32 the query and the key, at 16 two more queries, see PairViews.
_base_ = 'clim_r18_1xb32-20e_textures_begin5.py'

large = dict(_base_.pair_views.view[0], resolutions=(32, ))
small = dict(large, resolutions=(16, ), scale=(0.15, 0.4))
crops = dict(type='mmselfsup.MultiView', num_views=[1, 2], transforms=[[large], [small]])
pair_views = dict(_base_.pair_views, view=[crops], key_view=[large])
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
