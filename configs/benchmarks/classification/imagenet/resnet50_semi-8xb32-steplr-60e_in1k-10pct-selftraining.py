# A second fine-tuning, with pseudo-labels of the first (tools/pseudo_labels.py): not comparable with it.
_base_ = 'resnet50_semi-8xb32-steplr-60e_in1k-10pct.py'

train_dataloader = dict(dataset=dict(split='data/imagenet/10percent-selftraining.txt'))
