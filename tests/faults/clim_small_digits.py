# CLIM on 100 digits: seconds. Every epoch ends with a checkpoint, every second begins with a refresh.
_base_ = '../../configs/clim/clim_r18_1xb32-20e_digits.py'

train_dataloader = dict(batch_size=16, num_workers=1)
extract = dict(num_workers=1)
custom_hooks = []
train_cfg = dict(max_epochs=6)
default_hooks = dict(
    logger=dict(interval=2), checkpoint=dict(interval=1, max_keep_ckpts=2), preflight=dict(seconds=0),
    neighbors=dict(interval=2))
randomness = dict(seed=0, deterministic=True)
