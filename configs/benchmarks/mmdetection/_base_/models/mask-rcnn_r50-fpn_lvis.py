_base_ = 'mask-rcnn_r50-fpn.py'

# LVIS counts up to 300 detections an image, and its rare classes have low scores.
model = dict(test_cfg=dict(rcnn=dict(score_thr=1e-4, max_per_img=300)))
