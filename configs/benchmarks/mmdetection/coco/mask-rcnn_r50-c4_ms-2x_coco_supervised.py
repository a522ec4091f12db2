_base_ = 'mask-rcnn_r50-c4_ms-2x_coco.py'

custom_hooks = [dict(type='TransferPreflightHook', start='supervised')]
