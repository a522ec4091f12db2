"""Seconds of a refresh: images a second of the extraction, and clusters and neighbours at ImageNet's size."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from extraction import contestants_of, views_of
from mmengine.registry import init_default_scope
from pipeline import draw_jpegs
from refresh import clustered, moved, seconds_of

from clim_mm.config_file import load_config
from clim_mm.neighbors import search
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.faiss_backend import num_gpus
from clim_mm.neighbors.refresh import Refresh, refresh

from .rows import Row, at_least, figure
from .setting import Setting


def check_extraction(setting: Setting) -> Iterator[Row]:
    """As extraction.py: from JPEGs of 500 x 375, by workers, in each precision and format."""
    init_default_scope('clim_mm')
    if not setting.on_gpu:
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    torch.backends.cudnn.benchmark = True  # as the configs have it
    drawn, copies = (4, 1) if setting.small else (128, 16)
    folder = Path(setting.folder, 'jpegs')
    draw_jpegs(folder, drawn)
    for copy in range(1, copies):
        shutil.copytree(folder / 'drawn', folder / f'again_{copy}')
    cfg = load_config(setting.config('clim_r18_1xb32-20e_digits.py', 'clim_r50_16xb32-200e_in1k.py'))
    workers = 0 if setting.small else max(1, min(16, len(os.sched_getaffinity(0)) - 1))
    views = views_of(cfg, str(folder), drawn * copies)
    runs = contestants_of(cfg, views, 4 if setting.small else 128, workers)
    if not setting.small:
        next(iter(runs.values()))()  # files into the system's memory
    for name, run in runs.items():
        seconds, _ = seconds_of(run)
        yield figure(f'extraction, {name}', len(views) / seconds, 'images/s', f'{workers} worker(s)')


def check_refresh(setting: Setting) -> Iterator[Row]:
    """Of 1,281,167 x 128 vectors in even groups, as refresh.py draws them, m = 10,000, k = 40."""
    num, num_clusters, k = (5000, 100, 10) if setting.small else (1_281_167, 10_000, 40)
    vectors = clustered(num, 128, num_clusters // 10, 0.7, seed=0)
    where = f'on {num_gpus()} GPU(s)' if num_gpus() else 'on the CPU'
    sizes = NeighborSizes(num_clusters, k)

    def rows(name: str, seconds: float, found: Refresh) -> Iterator[Row]:
        parts = ', '.join(f'{part} {found.report[f"seconds_{part}"]:.1f}' for part in ('cluster', 'search', 'select'))
        yield figure(f'{name} refresh of {num:,} x 128', seconds, 's', f'{where}: {parts}')
        yield at_least(f'its recall of {k} neighbours', found.report['recall'], 0.99,
                       note=f'nprobe {found.report["nprobe"]:.0f}')

    seconds, first = seconds_of(refresh, vectors, sizes, exact=False, seed=0)
    yield from rows('first', seconds, first)
    later = moved(vectors, 0.1, seed=2)
    yield from rows('later', *seconds_of(refresh, later, sizes, exact=False, seed=1, start=first.centroids))
    if num_gpus() or setting.small:  # on a CPU an hour
        yield figure('exact search of all', seconds_of(search, later, k)[0], 's', where)
