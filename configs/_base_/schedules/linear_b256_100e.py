# Linear evaluation: lr 30 for 256 images, a tenth at epochs 60 and 80 (paper 4.1); no weight decay [moco].
optim_wrapper = dict(optimizer=dict(type='SGD', lr=30.0, momentum=0.9, weight_decay=0.0))
auto_scale_lr = dict(enable=False, base_batch_size=256, base_lr=30.0)  # which the preflight compares
param_scheduler = [dict(type='MultiStepLR', milestones=[60, 80], gamma=0.1)]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=10)
