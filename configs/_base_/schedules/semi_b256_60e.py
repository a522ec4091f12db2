# Semi-supervised: lr 1e-4 for the backbone and 10 for the new layer, a tenth every 20 of 60 epochs (paper 4.2).
# No weight decay [ours: the paper gives none].
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=1e5)}))
param_scheduler = [dict(type='MultiStepLR', milestones=[20, 40], gamma=0.1)]
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=10)
