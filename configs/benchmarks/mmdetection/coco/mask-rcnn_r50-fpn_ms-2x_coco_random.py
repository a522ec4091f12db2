_base_ = 'mask-rcnn_r50-fpn_ms-2x_coco.py'

custom_hooks = [dict(type='TransferPreflightHook', start='random')]
