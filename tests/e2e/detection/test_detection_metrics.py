"""The figures of detectors: VOC's by hand, COCO's and LVIS's by their own evaluators on the same files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detection_data import PLACES, VOC_CLASSES, draw, write_coco, write_lvis
from lvis import LVIS, LVISEval, LVISResults
from mmdet.evaluation.metrics import CocoMetric, LVISMetric, VOCMetric
from mmengine.config import Config
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from clim_mm.transfer.mmdet_parts import let_lvis_run

let_lvis_run()
ROOT = Path(__file__).parents[3]
VOC = Config.fromfile(ROOT / 'configs/benchmarks/mmdetection/_base_/datasets/voc0712.py').val_evaluator[0]
CLASSES = [f'class {number}' for number in range(20)]


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


def predictions(pictures, seed=0):
    """What a middling detector might say: boxes and masks near the real ones, some of a wrong class, some missing."""
    rng = np.random.default_rng(seed)
    samples = []
    for number, picture in enumerate(pictures, start=1):
        height, width, _ = picture.pixels.shape
        boxes, labels, scores, masks = [], [], [], []
        for shape in picture.shapes:
            for score in rng.uniform(0.1, 1, rng.integers(0, 4)):
                outline = np.array(shape.outline) + rng.normal(0, 2.5, 2).tolist() * (len(shape.outline) // 2)
                x, y = outline[::2].clip(0, width), outline[1::2].clip(0, height)
                box = [x.min(), y.min(), x.max(), y.max()]
                boxes.append(np.array(box) + rng.normal(0, 1, 4))
                labels.append(PLACES[shape.kind if rng.random() < 0.8 else (shape.kind + 1) % 3])
                scores.append(score)
                (rle, ) = mask_utils.frPyObjects([np.stack([x, y], axis=1).ravel().tolist()], height, width)
                masks.append(mask_utils.decode(rle).astype(bool))
        found = instances(np.array(boxes), labels, scores)
        found['masks'] = torch.tensor(np.array(masks).reshape(-1, height, width))
        samples.append(dict(img_id=number, ori_shape=(height, width), pred_instances=found))
    return samples


def test_cocos_figures_are_pycocotools(tmp_path):
    pictures = draw(12, seed=5)
    write_coco(tmp_path, dict(val2017=pictures), CLASSES, range(1, 21))
    path = str(tmp_path / 'annotations/instances_val2017.json')
    metric = CocoMetric(path, metric=['bbox', 'segm'], outfile_prefix=str(tmp_path / 'results'))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, predictions(pictures))
    figures = metric.evaluate(12)
    truth = COCO(path)
    assert any(annotation['iscrowd'] for annotation in truth.anns.values())
    for kind in ('bbox', 'segm'):
        found = COCOeval(truth, truth.loadRes(str(tmp_path / f'results.{kind}.json')), kind)
        found.evaluate()
        found.accumulate()
        found.summarize()
        for name, value in zip(('mAP', 'mAP_50', 'mAP_75'), found.stats, strict=False):
            assert figures[f'coco/{kind}_{name}'] == pytest.approx(value, abs=5e-4)
        assert 0.1 < found.stats[0] < found.stats[1] < 0.95


@pytest.mark.parametrize('version', ['v0.5', 'v1'])
def test_lvis_figures_are_the_lvis_packages(tmp_path, version):
    pictures = draw(12, seed=6)
    write_lvis(tmp_path, version, dict(val=pictures), CLASSES)
    path = str(tmp_path / f'annotations/lvis_{version}_val.json')
    metric = LVISMetric(path, metric=['bbox', 'segm'], outfile_prefix=str(tmp_path / 'results'))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, predictions(pictures))
    figures = metric.evaluate(12)
    truth = LVIS(path)
    for kind in ('bbox', 'segm'):
        found = LVISEval(truth, LVISResults(truth, str(tmp_path / f'results.{kind}.json')), kind)
        found.run()
        for name in ('AP', 'AP50', 'AP75', 'APr', 'APc', 'APf'):
            assert figures[f'lvis/{kind}_{name}'] == pytest.approx(found.results[name], abs=5e-4)
        assert all(0 < found.results[name] < 1 for name in ('APr', 'APc', 'APf'))
        assert len({found.results[name] for name in ('APr', 'APc', 'APf')}) == 3


def test_vocs_boxes_through_cocos_evaluation(tmp_path):
    """CocoMetric takes VOC's ground truth from the samples, with difficult objects as crowds."""
    metric = CocoMetric(metric='bbox', outfile_prefix=str(tmp_path / 'results'))
    metric.dataset_meta = dict(classes=VOC_CLASSES)
    car = VOC_CLASSES.index('car')
    for number, image in enumerate(ten_images()):
        objects = [dict(bbox=[float(side) for side in box], bbox_label=car, ignore_flag=flag)
                   for boxes, flag in ((image['gt_instances']['bboxes'], 0), (image['ignored_instances']['bboxes'], 1))
                   for box in boxes]
        metric.process({}, [dict(image, img_id=number, ori_shape=(80, 96), instances=objects)])
    figures = metric.evaluate(10)
    # Corners are points here: HALF is 48 / 81 of its object, right at 0.5 and wrong at 0.75. COCO takes the mean of the
    # best precisions at 101 recalls: those up to 2/8 have 1, up to 3/8 3/4, up to 5/8 5/7.
    ap50 = (26 + 12 * 3 / 4 + 25 * 5 / 7) / 101
    assert figures['coco/bbox_mAP_50'] == pytest.approx(ap50, abs=5e-4)
    ap75 = (13 + 13 / 2 + 12 * 3 / 7) / 101
    assert figures['coco/bbox_mAP_75'] == pytest.approx(ap75, abs=5e-4)
    truth = json.loads((tmp_path / 'results.gt.json').read_text())
    assert [annotation['iscrowd'] for annotation in truth['annotations']].count(1) == 1
