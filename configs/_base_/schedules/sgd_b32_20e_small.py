# The learning rate was found by trying; the rule for ImageNet's does not hold here.
_base_ = 'sgd_b512_coslr.py'

optim_wrapper = dict(optimizer=dict(lr=0.02))
auto_scale_lr = dict(base_batch_size=32, base_lr=0.02)
train_cfg = dict(max_epochs=20)
randomness = dict(seed=0)
