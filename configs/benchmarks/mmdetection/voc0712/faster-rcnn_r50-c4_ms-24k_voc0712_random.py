_base_ = 'faster-rcnn_r50-c4_ms-24k_voc0712.py'

custom_hooks = [dict(type='TransferPreflightHook', start='random')]
