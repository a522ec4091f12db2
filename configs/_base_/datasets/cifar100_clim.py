_base_ = 'cifar10_clim.py'

train_dataloader = dict(dataset=dict(dataset=dict(data_root='data/cifar100')))
