# scikit-learn's digits, written as 32x32 images by tools/prepare_digits.py. They are not mirrored and have no colour.
_base_ = ['imagenet_clim.py', 'digits_view.py']

held_out = dict(data_prefix='test')
photometric = [
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4)],
        prob=0.8),
    dict(type='RandomGaussianBlur', sigma_min=0.1, sigma_max=1.0, prob=0.5),
]
pair_views = dict(
    _base_.pair_views,
    view=[dict(type='MultiRes', resolutions=(16, 12), scale=(0.4, 1.0), transforms=photometric)])

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    pin_memory=False,
    dataset=dict(dataset=dict(data_root='data/digits'), pipeline=[pair_views, _base_.mixing, _base_.pack]))
