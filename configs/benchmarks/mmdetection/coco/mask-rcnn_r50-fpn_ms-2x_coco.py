_base_ = [
    '../_base_/models/mask-rcnn_r50-fpn.py', '../_base_/datasets/coco.py', '../_base_/schedules/schedule_2x.py',
    '../_base_/runtime.py'
]
