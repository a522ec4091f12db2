_base_ = [
    '../_base_/models/mask-rcnn_r50-fpn_lvis.py', 'mmdet::_base_/datasets/lvis_v0.5_instance.py',
    '../_base_/schedules/schedule_2x.py', '../_base_/runtime.py'
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=1230), mask_head=dict(num_classes=1230)))
