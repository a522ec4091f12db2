"""Whether views that the device finishes are those that the CPU finishes."""

import random
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from device_views import contestants, finished, seeded
from mmengine.config import Config
from pipeline import clim_pairs, draw_jpegs

from clim_mm.datasets import stack_collate
from clim_mm.datasets.device_views import PhotometricDraws
from clim_mm.registry import MODELS

from .rows import Row, at_most
from .setting import Setting

_BOUND = 0.05  # levels of 255


def check_views(setting: Setting) -> Iterator[Row]:
    """Each transform alone, and batches as a training feeds them, with the settings that a training has."""
    draw_jpegs(Path(setting.folder, 'small'), 3 if setting.small else 20, 60, 80)
    images = [cv2.imread(str(path)) for path in sorted(Path(setting.folder, 'small').rglob('*.jpg'))]
    cpu = torch.device('cpu')
    for name, _, ours in contestants():
        apart = 0.0
        for number, image in enumerate(images):
            seeded(number)
            draws = ours(dict(img=image.copy(), drawn=PhotometricDraws()))['drawn']
            views = [finished(image, draws, device) for device in (setting.torch_device, cpu)]
            apart = np.maximum(apart, np.abs(views[0] - views[1]).max())  # NaN stays
        yield at_most(f'{name}: farthest pixel apart', float(apart), _BOUND, 'levels')
    config = setting.config('clim_r18_1xb32-20e_digits_device.py', 'clim_r50_16xb32-200e_in1k_device.py')
    random.seed(0)
    yield at_most('all views of a batch: farthest pixel apart',
                  batch_apart(config, Path(setting.folder, 'small'), setting.torch_device), _BOUND, 'levels')


def batch_apart(config: str, folder: Path, device: torch.device) -> float:
    """The largest difference in a batch of the config's preprocessor, there and on the CPU."""
    dataset = clim_pairs(config, folder)
    batch = stack_collate([dataset[i % len(dataset)] for i in range(8)])
    made = []
    for place in (torch.device('cpu'), device):
        preprocessor = MODELS.build(Config.fromfile(config).model.data_preprocessor).to(place)
        views = preprocessor(batch, training=True)[0]
        made.append([x.cpu() * preprocessor.std.cpu() for images in views.values() for x in images])
    return float(np.max([(a - b).abs().max() for a, b in zip(*made, strict=True)]))
