"""Decoders of JPEGs that could stand in LoadImage, side by side.

    python tools/benchmarks/decoders.py
    python tools/benchmarks/decoders.py --folder data/imagenet/train --json decoders.json

One thread; CPU seconds, in turns. simplejpeg takes part after `pip install simplejpeg`. Without a folder, JPEGs of
500 x 375 are drawn.
"""

import argparse
import io
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import clim_mm  # noqa: F401  (limits pictures before cv2 is imported)

# isort: split
import cv2
import numpy as np
import torch
from pairs import in_turns, ratios_to, write_figures
from PIL import Image
from pipeline import draw_jpegs
from torchvision.io import decode_jpeg

from clim_mm.checks import check_whole
from clim_mm.errors import DataError
from clim_mm.launch.commands import errors_in_a_sentence

RIVAL = 'cv2'


def decoders() -> dict[str, Callable[[bytes], object]]:
    """From a file's bytes to pixels, by name."""
    known: dict[str, Callable[[bytes], object]] = {
        RIVAL: lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR),
        'torchvision': lambda data: decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8)),
        'pillow': lambda data: np.asarray(Image.open(io.BytesIO(data)).convert('RGB')),
    }
    try:
        import simplejpeg
    except ModuleNotFoundError:
        return known
    return dict(known, simplejpeg=lambda data: simplejpeg.decode_jpeg(data, 'BGR'))


def main() -> None:
    parser = argparse.ArgumentParser(description='Compare decoders of JPEGs.')
    parser.add_argument('--folder', help='with JPEGs (default: JPEGs of 500 x 375 are drawn)')
    parser.add_argument('--images', type=int, default=48, help='of each turn (default: 48)')
    parser.add_argument('--pairs', type=int, default=15, help='turns (default: 15)')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as drawn, errors_in_a_sentence():
        for name in ('images', 'pairs'):
            check_whole(f'--{name}', getattr(args, name), least=1)
        if args.folder is None:
            draw_jpegs(Path(drawn), args.images)
        paths = (path for path in Path(args.folder or drawn).rglob('*') if path.suffix.lower() in ('.jpg', '.jpeg'))
        files = [path.read_bytes() for path in itertools.islice(paths, args.images)]
        if not files:
            raise DataError(f'{args.folder} holds no JPEG: give --folder a folder of .jpg or .jpeg files.')
        runs = {name: lambda decode=decode: [decode(data) for data in files] for name, decode in decoders().items()}
        seconds = in_turns(runs, RIVAL, args.pairs, time.process_time)
    ratios = ratios_to(RIVAL, seconds)
    for name, values in seconds.items():
        ratio = '' if name == RIVAL else f', {ratios[name]["median"]:.2f} times the time of {RIVAL}'
        print(f'{name:16}{1000 * statistics.median(values) / len(files):8.2f} ms an image{ratio}')
    if args.json:
        write_figures(args.json, dict(images=len(files), seconds=seconds, ratios=ratios))


if __name__ == '__main__':
    main()
