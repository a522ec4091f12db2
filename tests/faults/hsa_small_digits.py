# As clim_small_digits.py; the weights of the other images begin at the third epoch.
_base_ = '../../configs/hsa/hsa_r18_1xb32-20e_digits.py'

model = dict(warmup=0.3)
train_dataloader = dict(batch_size=16, num_workers=1)
extract = dict(num_workers=1)
custom_hooks = []
train_cfg = dict(max_epochs=6)
default_hooks = dict(
    logger=dict(interval=2), checkpoint=dict(interval=1, max_keep_ckpts=2), preflight=dict(seconds=0),
    neighbors=dict(interval=2))
randomness = dict(seed=0, deterministic=True)
