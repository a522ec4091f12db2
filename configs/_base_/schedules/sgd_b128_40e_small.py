# The learning rate was found by trying.
_base_ = 'sgd_b512_coslr.py'

optim_wrapper = dict(optimizer=dict(lr=0.3, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=128, base_lr=0.3)
train_cfg = dict(max_epochs=40)
randomness = dict(seed=0)
