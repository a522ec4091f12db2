"""Features of a refresh: images a second, by precision and format, and by processes.

    python tools/benchmarks/extraction.py
    torchrun --standalone --nproc_per_node 2 tools/benchmarks/extraction.py --json extraction.json

As a refresh extracts them: the config's view of each image, from files, by the DataLoader's workers, through the
encoder; in seconds of the clock, in turns. Loading alone is the same without the encoder. Without a folder, 500 x 375
JPEGs are drawn.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import clim_mm  # noqa: F401  (opens the host's version gate, and limits pictures before cv2 is imported)

# isort: split
import torch
from mmengine import dist
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pairs import in_turns, ratios_to, write_figures
from pipeline import draw_jpegs

from clim_mm.config_file import load_config
from clim_mm.datasets import SingleViews
from clim_mm.distributed import prepare_launch, watch_peers
from clim_mm.evaluation.extract import Extraction, extract_features
from clim_mm.evaluation.features import extract_settings, refresh_settings
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.models import CLIM
from clim_mm.registry import MODELS

RIVAL = 'float32'
VARIANTS = {RIVAL: {}, 'channels_last': dict(channels_last=True), 'amp': dict(amp=True),
            'amp, channels_last': dict(amp=True, channels_last=True)}


def model_of(cfg: Config) -> CLIM:
    """The config's, on the GPU of this process if there is one, otherwise on the CPU."""
    model = MODELS.build(dict(cfg.model, queue_len=cfg.model.get('queue_len') or 1))
    rank = int(os.environ.get('LOCAL_RANK', 0))
    return model.to(torch.device('cuda', rank) if torch.cuda.is_available() else torch.device('cpu'))


def views_of(cfg: Config, folder: str, images: int) -> SingleViews:
    """Of so many images of a folder, or of all if there are fewer."""
    source = dict(type='ImageFolder', data_root=folder, data_prefix='')
    views = SingleViews(source, extract_settings(cfg)['pipeline'])
    return SingleViews(dict(source, indices=min(images, len(views))), views.pipeline.transforms)


def contestants_of(cfg: Config, views: SingleViews, batch_size: int, num_workers: int) -> dict[str, Callable]:
    """All that is timed, by name."""
    hook, model = refresh_settings(cfg), model_of(cfg)
    settings = dict(extract_settings(cfg), batch_size=batch_size, num_workers=num_workers)

    def extraction(options: dict) -> Callable[[], object]:
        how = Extraction('the benchmark', dict(settings, **options), hook.get('encoder', 'momentum'),
                         hook.get('layer', 'embedding'))
        return lambda: how.features_of(model, views)

    def loading() -> object:
        return extract_features(lambda batch: torch.zeros(len(batch['sample_idx']), 1), views, batch_size, num_workers,
                                progress=False)

    return {name: extraction(options) for name, options in VARIANTS.items()} | {'loading alone': loading}


def main() -> None:
    parser = argparse.ArgumentParser(description='Time the extraction of features.')
    parser.add_argument('--config', default='configs/clim/clim_r50_16xb32-200e_in1k.py')
    parser.add_argument('--folder', help='with images (default: JPEGs of 500 x 375 are drawn)')
    parser.add_argument('--images', type=int, default=256, help='of each turn (default: 256)')
    parser.add_argument('--batch', type=int, default=64, help='images of a batch (default: 64)')
    parser.add_argument('--workers', type=int, default=1, help='of each process (default: 1)')
    parser.add_argument('--pairs', type=int, default=3, help='turns (default: 3)')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()
    launcher = 'pytorch' if 'RANK' in os.environ else 'none'
    with tempfile.TemporaryDirectory() as drawn, errors_in_a_sentence(), watch_peers(launcher):
        cfg = load_config(args.config, launcher=launcher)
        prepare_launch(cfg, launcher)
        if launcher != 'none' and not dist.is_distributed():
            dist.init_dist(launcher)
        init_default_scope('clim_mm')
        if args.folder is None:
            draw_jpegs(Path(drawn), args.images)
        views = views_of(cfg, args.folder or drawn, args.images)
        runs = contestants_of(cfg, views, args.batch, args.workers)
        seconds = in_turns(runs, RIVAL, args.pairs, time.perf_counter)
        if not dist.is_main_process():
            return
        ratios, processes = ratios_to(RIVAL, seconds), dist.get_world_size()
        for name, values in seconds.items():
            ratio = '' if name == RIVAL else f', {ratios[name]["median"]:.2f} times the time of {RIVAL}'
            rate = len(views) / statistics.median(values)
            print(f'{name:20}{rate:8.1f} images a second of {processes} process(es){ratio}')
        if args.json:
            write_figures(args.json, dict(settings=vars(args), processes=processes, seconds=seconds, ratios=ratios))


if __name__ == '__main__':
    main()
