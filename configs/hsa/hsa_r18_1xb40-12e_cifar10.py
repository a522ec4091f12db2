# A slim network on CIFAR-10, hours on two CPU cores for a study (configs/studies/cifar10.py).
_base_ = [
    '../_base_/models/hsa_r18_small.py',
    '../_base_/datasets/cifar10_hsa.py',
    '../_base_/schedules/sgd_b40_12e_cifar10.py',
    '../_base_/hsa_runtime.py',
]

model = dict(queue_len=None)
train_dataloader = dict(batch_size=40)
extract = _base_.whole_image
optim_wrapper = dict(optimizer=dict(lr=0.06))
auto_scale_lr = dict(base_lr=0.06)
custom_hooks = [dict(type='KNNHook')]
