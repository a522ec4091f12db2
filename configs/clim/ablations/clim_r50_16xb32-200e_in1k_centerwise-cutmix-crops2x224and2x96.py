# Table 7, multi-crop: at 224 the query and the key, at 96 two more queries, see PairViews.
_base_ = 'clim_r50_16xb32-200e_in1k_centerwise-cutmix-res224.py'

large = [dict(type='mmselfsup.RandomResizedCrop', size=224, **_base_.crop), *_base_.photometric]
small = [dict(type='mmselfsup.RandomResizedCrop', size=96, backend='pillow', scale=(0.05, 0.14)), *_base_.photometric]
crops = dict(type='mmselfsup.MultiView', num_views=[1, 2], transforms=[large, small])
pair_views = dict(_base_.pair_views, view=[crops], key_view=_base_.pair_views.view)
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
