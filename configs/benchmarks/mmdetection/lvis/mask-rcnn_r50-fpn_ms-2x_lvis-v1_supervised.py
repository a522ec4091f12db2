_base_ = 'mask-rcnn_r50-fpn_ms-2x_lvis-v1.py'

custom_hooks = [dict(type='TransferPreflightHook', start='supervised')]
