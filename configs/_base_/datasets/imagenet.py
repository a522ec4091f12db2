# A folder in ImageNet's layout: data_root/train/CLASS/IMAGE. No list files are needed; labels choose nothing, they
# only let the log say how pure the positives are.
source = dict(type='ClassFolder', data_root='data/imagenet', data_prefix='train')
# Where evaluations find the images that are not trained on: the same dataset with these keys changed.
held_out = dict(data_prefix='val')

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='clim_mm.stack_collate'))
