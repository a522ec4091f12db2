_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', '../protocol.py']

# The box head with four convolutions, since one of two linear layers has no place for BN.
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    neck=dict(norm_cfg=_base_.bn),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', norm_cfg=_base_.bn), mask_head=dict(norm_cfg=_base_.bn)))
