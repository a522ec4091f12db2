"""VOC's figures, as the configs set them, by hand; test_detection.py compares COCO's and LVIS's."""

from pathlib import Path

import pytest
import torch
from detection_data import VOC_CLASSES
from mmdet.evaluation.metrics import VOCMetric
from mmengine.config import Config

ROOT = Path(__file__).parents[3]
VOC = Config.fromfile(ROOT / 'configs/benchmarks/mmdetection/_base_/datasets/voc0712.py').val_evaluator[0]


def voc_metric():
    metric = VOCMetric(**{name: value for name, value in VOC.items() if name not in ('type', '_scope_')})
    metric.dataset_meta = dict(classes=VOC_CLASSES, dataset_type='VOC2007')
    return metric


def instances(boxes, labels, scores=None):
    found = dict(bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                 labels=torch.tensor(labels, dtype=torch.long))
    return found if scores is None else dict(found, scores=torch.tensor(scores, dtype=torch.float32))


def sample(objects, detections, difficult=()):
    """Objects and detections of the class car: boxes, and boxes with scores."""
    car = VOC_CLASSES.index('car')
    return dict(
        gt_instances=instances(objects, [car] * len(objects)),
        ignored_instances=instances(difficult, [car] * len(difficult)),
        pred_instances=instances([box for box, _ in detections], [car] * len(detections),
                                 [score for _, score in detections]))


# Pixels count, corners included: (0, 0, 9, 9) has 100 of them. HIT covers it, HALF has 63 of its pixels and no others
# (IoU 0.63), FAR none.
OBJECT, HIT, HALF, FAR = (0, 0, 9, 9), (0, 0, 9, 9), (0, 0, 6, 8), (50, 50, 59, 59)


def ten_images():
    """Eight objects to be found, one difficult; eight detections in the order of their scores:

    hit, half, difficult's own (neither right nor wrong), far, hit, the same object again, half, hit.
    """
    return [
        sample([OBJECT], [(HIT, 0.95)]),
        sample([OBJECT], [(HALF, 0.9)]),
        sample([], [(HIT, 0.85)], difficult=[OBJECT]),
        sample([OBJECT], [(FAR, 0.8)]),
        sample([OBJECT], [(HIT, 0.7), (HIT, 0.6)]),
        sample([OBJECT], [(HALF, 0.5)]),
        sample([OBJECT], [(HIT, 0.4)]),
        sample([OBJECT], []),
        sample([OBJECT], []),
        sample([], []),
    ]


def test_vocs_metric_by_hand():
    metric = voc_metric()
    metric.process({}, ten_images())
    figures = metric.evaluate(10)  # classes without objects do not count
    # At IoU 0.5, 0.55 and 0.6: right, right, wrong, right, wrong, right, right of 8 objects. Precision at recalls of
    # 1/8, 2/8, 3/8, 4/8, 5/8 is 1, 1, 3/4, 4/6, 5/7; the best from there on 1, 1, 3/4, 5/7, 5/7.
    # Recalls 0, .1, .2 have 1; .3 has 3/4; .4, .5, .6 have 5/7; the others 0.
    low = (3 * 1 + 3 / 4 + 3 * 5 / 7) / 11
    # From 0.65 on: right, wrong, wrong, right, wrong, wrong, right. Precision at 1/8, 2/8, 3/8 is 1, 1/2, 3/7.
    # Recalls 0, .1 have 1; .2 has 1/2; .3 has 3/7.
    high = (2 * 1 + 1 / 2 + 3 / 7) / 11
    for threshold in range(50, 100, 5):
        assert figures[f'pascal_voc/AP{threshold}'] == round(low if threshold <= 60 else high, 3)
    assert (figures['pascal_voc/AP50'], figures['pascal_voc/AP75']) == (0.536, 0.266)
    assert figures['pascal_voc/mAP'] == pytest.approx((3 * low + 7 * high) / 10, abs=1e-6)
