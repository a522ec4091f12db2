_base_ = 'mocov2_r50.py'

model = dict(type='CLIM', head=dict(_delete_=True, type='MixedContrastiveHead', temperature=0.2))
