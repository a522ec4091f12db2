_base_ = ['mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py', '../protocol.py']

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    roi_head=dict(shared_head=_base_.shared_head))
