"""The input pipeline: CLIM's pairs of images and their views, against MMSelfSup's own MoCo v2 pipeline.

    python tools/benchmarks/pipeline.py
    python tools/benchmarks/pipeline.py --folder data/imagenet/train --json pipeline.json
    python tools/benchmarks/pipeline.py --workers 1 2 4 8

One process, one thread, as in a DataLoader's worker; CPU seconds, in turns. With ``--workers`` also batches from
DataLoaders of so many workers, in seconds of the clock. Without a folder, 500 x 375 JPEGs are drawn.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import clim_mm  # noqa: F401  (opens the host's version gate, and limits pictures before cv2 is imported)

# isort: split
import cv2
import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hub import get_config
from mmengine.registry import DefaultScope, init_default_scope
from pairs import in_turns, ratios_to, write_figures
from torch.utils.data import DataLoader

from clim_mm.checks import check_whole
from clim_mm.datasets import NeighborPairs, stack_collate
from clim_mm.errors import DataError
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.registry import DATASETS

MOCO = 'mmselfsup::selfsup/_base_/datasets/imagenet_mocov2.py'


def draw_jpegs(folder: Path, count: int = 48, height: int = 375, width: int = 500) -> None:
    """Pictures of the size that is usual on ImageNet, with smooth areas, edges and grain; some 60 to 120 KB each."""
    (folder / 'drawn').mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        image = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3)).astype(np.uint8), (0, 0), 12)
        image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
        for _ in range(60):
            place = (int(rng.integers(width)), int(rng.integers(height)))
            cv2.circle(image, place, int(rng.integers(3, 60)), rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
        grain = rng.normal(0, 6, image.shape)
        cv2.imwrite(str(folder / 'drawn' / f'{number}.jpg'), np.clip(image + grain, 0, 255).astype(np.uint8),
                    [cv2.IMWRITE_JPEG_QUALITY, 92])


def clim_pairs(config: str, root: Path) -> NeighborPairs:
    """The config's training set with a folder's images, each with a positive that is drawn at random.

    Raises:
        DataError: If there are less than two images.
    """
    cfg = Config.fromfile(config)
    init_default_scope('clim_mm')
    source = dict(type='ImageFolder', data_root=str(root), data_prefix='')
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, dataset=source))
    if len(dataset) < 2:
        raise DataError(f'{root} holds one image, of which no pair can be made: give a folder with more.')
    rng = np.random.default_rng(0)
    away = rng.integers(1, len(dataset), (len(dataset), dataset.table.num_positives))
    dataset.table.publish(((np.arange(len(dataset))[:, None] + away) % len(dataset)).astype(np.int32))
    return dataset


def moco_samples(paths: list[str]) -> Callable[[int], object]:
    """MMSelfSup's own pipeline on these files."""
    cfg = get_config(MOCO)
    with DefaultScope.overwrite_default_scope('mmselfsup'):
        pipeline = Compose(cfg.train_dataloader.dataset.pipeline)
    return lambda i: pipeline(dict(img_path=paths[i], sample_idx=i))


def rate_of_workers(dataset: NeighborPairs, num_workers: int, batch_size: int = 8, batches: int = 25) -> float:
    """Samples a second that a DataLoader gives once all its workers are busy."""
    start, last = 3 * num_workers, (3 + batches) * num_workers  # two batches a worker are loaded ahead
    ids = [i % len(dataset) for i in range((last + 1) * batch_size)]
    loader = DataLoader(dataset, batch_size, sampler=ids, num_workers=num_workers, collate_fn=stack_collate)
    for number, _ in enumerate(loader):
        if number == start:
            begun = time.perf_counter()
    return (last - start) * batch_size / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description='Compare the input pipeline with that of MoCo v2.')
    parser.add_argument('--config', default='configs/clim/clim_r50_16xb32-200e_in1k.py')
    parser.add_argument('--folder', help='with images (default: JPEGs of 500 x 375 are drawn)')
    parser.add_argument('--samples', type=int, default=24, help='of each turn (default: 24)')
    parser.add_argument('--pairs', type=int, default=9, help='turns (default: 9)')
    parser.add_argument('--workers', type=int, nargs='*', default=[], help='of DataLoaders to be timed likewise')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as drawn, errors_in_a_sentence():
        for name in ('samples', 'pairs'):
            check_whole(f'--{name}', getattr(args, name), least=1)
        for workers in args.workers:
            check_whole('--workers', workers, least=1)
        if args.folder is None:
            draw_jpegs(Path(drawn))
        dataset = clim_pairs(args.config, Path(args.folder or drawn))
        paths = [dataset.dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
        moco = moco_samples(paths)
        chosen = [i % len(paths) for i in range(args.samples)]
        runs = {
            'clim': lambda: [dataset[i] for i in chosen],
            'moco v2 (mmselfsup)': lambda: [moco(i) for i in chosen],
            'decoding two images': lambda: [mmcv.imread(paths[i]) for i in [*chosen, *chosen]],
        }
        rival = 'moco v2 (mmselfsup)'
        seconds = in_turns(runs, rival, args.pairs, time.process_time)
        rates = {workers: rate_of_workers(dataset, workers) for workers in args.workers}
    ratios = ratios_to(rival, seconds)
    for name, values in seconds.items():
        ratio = '' if name == rival else f', {1 / ratios[name]["median"]:.2f} times as many as {rival}'
        print(f'{name:30}{args.samples / statistics.median(values):8.1f} samples a second and core{ratio}')
    share = statistics.median(a / b for a, b in zip(seconds['decoding two images'], seconds['clim'], strict=True))
    print(f'Decoding alone is {share:.0%} of CLIM\'s time: at most {1 / share:.2f} times as fast could be reached.')
    for workers, rate in rates.items():
        print(f'{rate:8.1f} samples a second of {workers} worker(s), {rate / workers:.1f} each')
    if args.json:
        write_figures(args.json, dict(samples=args.samples, seconds=seconds, ratios=ratios, share_of_decoding=share,
                                   samples_a_second_by_workers=rates))


if __name__ == '__main__':
    main()
