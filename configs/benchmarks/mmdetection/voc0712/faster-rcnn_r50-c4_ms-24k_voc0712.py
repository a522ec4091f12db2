_base_ = [
    '../_base_/models/faster-rcnn_r50-c4.py', '../_base_/datasets/voc0712.py', '../_base_/schedules/schedule_24k.py',
    '../_base_/runtime.py'
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))

default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2000))
log_processor = dict(by_epoch=False)
