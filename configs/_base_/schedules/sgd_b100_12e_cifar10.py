# lr by configs/studies/cifar10_pilot.py.
_base_ = 'sgd_b512_coslr.py'

optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=100, base_lr=0.1)
train_cfg = dict(max_epochs=12)
randomness = dict(seed=0)
