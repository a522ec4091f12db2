# What every pretraining has, whatever the method: trustworthy data, and the view in which features are taken.
_base_ = 'default_runtime.py'

default_hooks = dict(quarantine=dict(type='QuarantineHook'), manifest=dict(type='ManifestHook'))

# One deterministic view of each image, for refreshes and evaluations.
extract = dict(
    batch_size=64,
    num_workers=8,
    pipeline=[
        dict(type='LoadImage'),
        dict(type='CenterView', edge=256, crop_size=224),
        dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
    ])
