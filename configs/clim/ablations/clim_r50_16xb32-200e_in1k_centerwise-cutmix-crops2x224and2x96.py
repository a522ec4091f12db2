# Table 7, multi-crop: at 224 the query and the key, at 96 two more queries, see PairViews.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

large = _base_.pair_views.view[0]
small = dict(large, resolutions=(96, ), scale=(0.05, 0.14))
crops = dict(type='mmselfsup.MultiView', num_views=[1, 2], transforms=[[large], [small]])
pair_views = dict(_base_.pair_views, view=[crops], key_view=[large])
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
