"""Pretrain an image encoder on a folder of images, without labels and without a config.

    clim-mm pretrain FOLDER --hours 8
    clim-mm pretrain FOLDER --epochs 200 --method byol --arch resnet50
"""

import argparse

import clim_mm  # noqa: F401
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.pretraining.pretrain import Pretrained, pretrain
from clim_mm.pretraining.recipe import ARCHS, METHODS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Pretrain an image encoder on a folder of images. What is not said is chosen to fit the images, '
        'the machine and the time, and told with the reason. The same command goes on with a run that was broken off.')
    parser.add_argument('folder', help='of images, at any depth; no labels are needed')
    parser.add_argument('--out', metavar='DIR', help='where everything goes (default: work_dirs/pretrain_NAME)')
    time = parser.add_mutually_exclusive_group(required=True)
    time.add_argument('--hours', type=float, metavar='H', help='that it may take in all, as in 8 or 0.1')
    time.add_argument('--epochs', type=int, metavar='N', help='times that every image is seen')
    parser.add_argument('--method', default='clim', help=f'{", ".join(METHODS)} (default: clim)')
    parser.add_argument('--arch', help=f'{", ".join(ARCHS)} (default: chosen)')
    parser.add_argument('--size', type=int, metavar='PIXELS', help='side of the largest views (default: chosen)')
    parser.add_argument('--gpus', type=int, metavar='N', help='that train (default: all); 0 trains on the CPU')
    return parser.parse_args()


def what_next(done: Pretrained, folder: str) -> str:
    """Three lines on what to do with it."""
    return '\n'.join([
        'Next:',
        f'  clim-mm embed {done.backbone} {folder} --out embeddings.parquet',
        f'  clim-mm duplicates {done.backbone} {folder}',
        f'  clim-mm export {done.checkpoint} --to torch --out backbone.pt2'])


def main() -> None:
    """Pretrain as the command line says."""
    args = parse_args()
    with errors_in_a_sentence():
        done = pretrain(args.folder, args.out, args.hours, args.epochs, args.method, args.arch, args.size, args.gpus)
        print(what_next(done, args.folder))
