# C2BIN on 100 digits: seconds. Its clusters begin at the third epoch.
_base_ = '../../configs/c2bin/c2bin_r18_1xb128-40e_digits.py'

model = dict(num_clusters=(2, 4), start_epoch=2)
train_dataloader = dict(batch_size=16, num_workers=1)
train_cfg = dict(max_epochs=6)
default_hooks = dict(
    logger=dict(interval=2), checkpoint=dict(interval=1, max_keep_ckpts=2), preflight=dict(seconds=0))
randomness = dict(seed=0, deterministic=True)
