# Necks and a queue for res4 and res5; the weight of res4 is a middle one of its precedents [ours].
_base_ = 'clim_r50.py'

model = dict(
    type='HSA',
    level_weights=dict(res4=0.5, res5=1.0),
    backbone=dict(out_indices=[3, 4]),
    neck=dict(
        _delete_=True,
        res4=dict(
            type='mmselfsup.MoCoV2Neck', in_channels=1024, hid_channels=1024, out_channels=128, with_avg_pool=True),
        res5=dict(
            type='mmselfsup.MoCoV2Neck', in_channels=2048, hid_channels=2048, out_channels=128, with_avg_pool=True)),
    head=dict(type='MultiPositiveHead'))
