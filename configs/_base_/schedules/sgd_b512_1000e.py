# lr 0.05 for a batch of 512, ten times as much for the predictor; 50 epochs of warm-up, and a cosine to 0 [ProPos].
_base_ = 'sgd_b512_coslr.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.05, weight_decay=5e-4), paramwise_cfg=dict(custom_keys={'head.predictor': dict(lr_mult=10)}))
auto_scale_lr = dict(base_lr=0.05)
warm_up = dict(type='LinearLR', start_factor=0.001, by_epoch=True, end=50, convert_to_iter_based=True)
decay = dict(type='CosineAnnealingLR', by_epoch=True, begin=50)
param_scheduler = [warm_up, decay]
train_cfg = dict(max_epochs=1000)
