_base_ = 'cifar10_two_views.py'

superclasses = 'data/cifar100/superclasses.txt'  # by which clusters are measured
train_dataloader = dict(dataset=dict(dataset=dict(data_root='data/cifar100')))
