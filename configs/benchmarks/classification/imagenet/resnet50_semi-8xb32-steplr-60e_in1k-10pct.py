_base_ = 'resnet50_semi-8xb32-steplr-60e_in1k-1pct.py'

train_dataloader = dict(dataset=dict(split='data/imagenet/10percent.txt'))
