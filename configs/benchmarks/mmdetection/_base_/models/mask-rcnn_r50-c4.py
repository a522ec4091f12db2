_base_ = ['mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py', '../protocol.py']

# The fourth stage of the pretrained network is the head that all boxes share, with a norm behind it [moco].
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    roi_head=dict(
        shared_head=dict(
            type='NormedResLayer', norm_cfg=_base_.bn, norm_eval=False, style='pytorch', init_cfg=None)))
