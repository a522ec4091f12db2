"""Views finished on the device: how far they are from the framework's, and what finishing a batch costs there.

    python tools/benchmarks/device_views.py
    python tools/benchmarks/device_views.py --device cuda --batch 128 --json device_views.json

Differences are from MMSelfSup's own transforms (Pillow) with the same draws, in levels of 255 over all pixels; those of
the workers' transforms (OpenCV) beside them. The cost is that of the data preprocessor of a config with
``on_device=True``, on one thread if the device is a CPU.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clim_mm  # noqa: F401  (opens the host's version gate, and limits pictures before cv2 is imported)

# isort: split
import cv2
import mmcv.transforms
import numpy as np
import torch
from devices import clock_of, device_of
from mmengine.config import Config
from pairs import write_figures
from pipeline import clim_pairs, draw_jpegs

from clim_mm import host as framework
from clim_mm.checks import check_whole
from clim_mm.datasets import stack_collate
from clim_mm.datasets.device_views import PhotometricDraws, blurred, jittered
from clim_mm.datasets.transforms import ColorJitter, RandomGaussianBlur, RandomGrayscale
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.registry import MODELS

_STRENGTHS = dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)  # of MoCo v2, as the rest
_SIGMA = 2.0


def contestants() -> Iterator[tuple[str, Any, Any]]:
    """A name, MMSelfSup's transform and ours, with the same draws from the same seed."""
    for name, strength in _STRENGTHS.items():
        yield name, framework.ColorJitter(**{name: strength}), ColorJitter(**{name: strength})
    yield 'the four together', framework.ColorJitter(**_STRENGTHS), ColorJitter(**_STRENGTHS)
    gray = mmcv.transforms.RandomGrayscale(1.0, keep_channels=True, channel_weights=(0.114, 0.587, 0.299))
    yield 'gray', gray, RandomGrayscale(1.0)
    yield 'blur', framework.RandomGaussianBlur(0.1, _SIGMA, 1.0), RandomGaussianBlur(0.1, _SIGMA, 1.0)


def finished(image: np.ndarray, draws: PhotometricDraws, device: torch.device) -> np.ndarray:
    """(H, W, 3) float32: what the device makes of an image."""
    rows = torch.from_numpy(draws.as_row())[None].to(device)
    images = torch.from_numpy(image).permute(2, 0, 1)[None].to(device).float()
    return blurred(jittered(images, rows), rows[:, -1], _SIGMA)[0].permute(1, 2, 0).cpu().numpy()


def seeded(number: int) -> None:
    random.seed(number)
    np.random.seed(number)


def differences(images: list[np.ndarray], device: torch.device) -> dict[str, dict[str, dict[str, float]]]:
    """For each transform, of the device's and the workers': the mean absolute difference, and its 99th percentile."""
    found = {}
    for name, theirs, ours in contestants():
        gaps: dict[str, list[np.ndarray]] = dict(device=[], worker=[])
        for number, image in enumerate(images):
            made = {}
            for way, transform, results in [('framework', theirs, {}), ('worker', ours, {}),
                                            ('device', ours, dict(drawn=PhotometricDraws()))]:
                seeded(number)
                made[way] = transform(dict(img=image.copy(), **results))
            own = dict(worker=made['worker']['img'], device=finished(image, made['device']['drawn'], device))
            for way, view in own.items():
                gaps[way].append(abs(view.astype(np.float32) - made['framework']['img']).ravel())
        found[name] = {way: dict(mean=float(np.mean(values)), percentile_99=float(np.percentile(values, 99)))
                       for way, values in gaps.items()}
    return found


def seconds_of_batches(config: str, folder: Path, batch_size: int, repeats: int, device: torch.device) -> list[float]:
    """Of the preprocessor, a batch; the samples come from the config's pipeline."""
    dataset = clim_pairs(config, folder)
    batch = stack_collate([dataset[i % len(dataset)] for i in range(batch_size)])
    preprocessor = MODELS.build(Config.fromfile(config).model.data_preprocessor).to(device)
    seconds, clock = [], clock_of(device)
    for _ in range(repeats + 1):
        start = clock()
        preprocessor(batch, training=True)
        seconds.append(clock() - start)
    return seconds[1:]  # the first one takes memory from the system


def main() -> None:
    parser = argparse.ArgumentParser(description='Compare views that are finished on the device with others.')
    parser.add_argument('--config', default='configs/clim/clim_r50_16xb32-200e_in1k_device.py')
    parser.add_argument('--device', help='cpu or cuda (default: a GPU if there is one)')
    parser.add_argument('--images', type=int, default=60, help='of 60 x 80, to be compared (default: 60)')
    parser.add_argument('--batch', type=int, default=8, help='samples of a batch (default: 8)')
    parser.add_argument('--repeats', type=int, default=5, help='batches (default: 5)')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as drawn, errors_in_a_sentence():
        for name in ('images', 'batch', 'repeats'):
            check_whole(f'--{name}', getattr(args, name), least=1)
        device = device_of(args.device)
        draw_jpegs(Path(drawn, 'small'), args.images, 60, 80)
        draw_jpegs(Path(drawn, 'large'), min(2 * args.batch, 48))
        images = [cv2.imread(str(path)) for path in sorted(Path(drawn, 'small').rglob('*.jpg'))]
        found = differences(images, device)
        seconds = seconds_of_batches(args.config, Path(drawn, 'large'), args.batch, args.repeats, device)
    print(f'{"mean (99th percentile), levels":32}{"device":>16}{"worker":>16}')
    for name, of in found.items():
        cells = (f'{of[way]["mean"]:.2f} ({of[way]["percentile_99"]:.1f})' for way in ('device', 'worker'))
        print(f'{name:32}' + ''.join(f'{cell:>16}' for cell in cells))
    print(f'{1000 * statistics.median(seconds) / args.batch:.1f} ms a sample to finish its views on {device}')
    if args.json:
        settings = dict(vars(args), device=str(device))
        write_figures(args.json, dict(settings=settings, differences=found, seconds=seconds))


if __name__ == '__main__':
    main()
