# Colour, blur, the low resolution and the mixing on the device instead of in the workers (docs/device_views.md).
_base_ = 'clim_r50_16xb32-200e_in1k.py'

pair_views = dict(_base_.pair_views, view=[dict(_base_.pair_views.view[0], on_device=True)])
model = dict(data_preprocessor=dict(type='DeviceViews'))
train_dataloader = dict(dataset=dict(pipeline=[pair_views, _base_.mixing, _base_.pack]))
