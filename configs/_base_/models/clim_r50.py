_base_ = 'mocov2_r50.py'

# None derives the length from the set's size N: min(65536, N // 8), which on ImageNet is MoCo v2's 65,536.
model = dict(type='CLIM', queue_len=None, head=dict(_delete_=True, type='MixedContrastiveHead', temperature=0.2))
