# A second fine-tuning, with pseudo-labels of the first (tools/pseudo_labels.py): not comparable with it.
_base_ = 'resnet18_semi-1xb16-steplr-60e_digits-1pct.py'

train_dataloader = dict(dataset=dict(split='data/digits/1percent-selftraining.txt'))
