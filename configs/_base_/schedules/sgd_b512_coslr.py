# lr 0.06 for a batch of 512 (paper A.1). The cosine ends where the training does.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(enable=False, base_batch_size=512, base_lr=0.06)  # which the preflight compares
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200)
