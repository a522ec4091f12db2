# The slim network of clim_r18_small.py, with its last two stages.
_base_ = 'clim_r18_small.py'

model = dict(
    type='HSA',
    level_weights=dict(res4=0.5, res5=1.0),
    backbone=dict(out_indices=(2, 3)),
    neck=dict(
        _delete_=True,
        res4=dict(type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=64, out_channels=128, with_avg_pool=True),
        res5=dict(
            type='mmselfsup.MoCoV2Neck', in_channels=128, hid_channels=128, out_channels=128, with_avg_pool=True)),
    head=dict(type='MultiPositiveHead'))
