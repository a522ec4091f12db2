_base_ = 'linear_b256_100e.py'

optim_wrapper = dict(optimizer=dict(lr=0.5))  # found by trying: 3.75, the rule's, swings
auto_scale_lr = dict(base_batch_size=32, base_lr=0.5)
param_scheduler = [dict(_base_.param_scheduler[0], milestones=[18, 24])]
train_cfg = dict(max_epochs=30)
