"""MoCo's protocol for detection, once: what pretraining has made is trained on, all of it, under synchronised BN.

Sources: MoCo (arXiv 1911.05722, section 4.2 and its published detection configs), which the paper follows [4.3].
"""

# The pretraining's, see configs/_base_/models/mocov2_r50.py; the images are read as BGR in both.
normalization = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)

# In what is pretrained and in what is new, such as the FPN [moco].
bn = dict(type='SyncBN', requires_grad=True)

# Nothing is loaded unless a checkpoint is given. The stride is in the 3x3 convolutions, as in the pretraining.
backbone = dict(frozen_stages=-1, norm_cfg=bn, norm_eval=False, style='pytorch', init_cfg=None)

# With C4 the fourth stage of the pretrained network is the head that all boxes share, with a norm behind it [moco].
shared_head = dict(type='NormedResLayer', norm_cfg=bn, norm_eval=False, style='pytorch', init_cfg=None)

# The learning rate is for 16 images a step; batch normalisation is not decayed [moco, by detectron2's default].
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)

custom_imports = dict(imports=['clim_mm.transfer.mmdet_parts'])
custom_hooks = [dict(type='TransferPreflightHook', start='pretraining')]
