"""Embed a folder of images: for each its vector, its cluster and its nearest neighbours.

    clim-mm embed CHECKPOINT FOLDER --out embeddings.parquet
    torchrun --nproc-per-node 8 -m clim_mm embed CHECKPOINT FOLDER --out embeddings.npz       # 8 GPUs
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.dist.utils import init_dist, is_distributed

import clim_mm  # noqa: F401
from clim_mm.distributed import prepare_launch, watch_peers
from clim_mm.embedding import Embeddings, embed
from clim_mm.embedding.embed import NEIGHBORS
from clim_mm.errors import some_of
from clim_mm.evaluation.extract import BATCH_SIZE, NUM_WORKERS
from clim_mm.launch.commands import errors_in_a_sentence


def add_embedding_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which images are embedded, and how."""
    parser.add_argument('checkpoint', help='of a pretraining, or what clim-mm export has written')
    parser.add_argument('folder', help='of images, at any depth')
    parser.add_argument('--batch-size', type=int, default=BATCH_SIZE, metavar='B',
                        help=f'images that the network is given at once (default: {BATCH_SIZE})')
    parser.add_argument('--num-workers', type=int, metavar='W',
                        help=f'that read images in each process (default: one a core, up to {NUM_WORKERS})')


@contextmanager
def launched() -> Iterator[None]:
    """Meet the processes that torchrun has started, if it has."""
    launcher = 'pytorch' if 'RANK' in os.environ and 'WORLD_SIZE' in os.environ else 'none'
    with watch_peers(launcher):
        prepare_launch(Config(), launcher)
        if launcher != 'none' and not is_distributed():
            init_dist(launcher)
        yield


def told(found: Embeddings) -> str:
    """What was embedded, in lines."""
    lines = [f'{len(found.paths)} images of {found.folder}: {found.vectors.shape[1]} numbers each, '
             f'{found.clusters.max() + 1} clusters.']
    if found.recall < 1:
        lines.append(f'{found.recall:.1%} of the nearest neighbours of a sample were found.')
    if found.unreadable:
        names = [entry.replace('\t', ': ') for entry in found.unreadable]
        lines.append(f'{len(names)} images cannot be read, and are left out ({some_of(names, 3)}).')
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Embed a folder of images by a pretrained network.')
    add_embedding_arguments(parser)
    parser.add_argument('--out', required=True, metavar='FILE', help='.parquet or .npz')
    parser.add_argument('--neighbors', type=int, default=NEIGHBORS, metavar='K',
                        help=f'of each image (default: {NEIGHBORS})')
    parser.add_argument('--clusters', type=int, metavar='M',
                        help='number of clusters (default: the square root of the number of images)')
    return parser.parse_args()


def main() -> None:
    """Embed as the command line says."""
    args = parse_args()
    with errors_in_a_sentence(), launched():
        found = embed(args.checkpoint, args.folder, args.out, args.neighbors, args.clusters, args.batch_size,
                      args.num_workers)
        if found is not None and is_main_process():
            print(told(found), f'Wrote {args.out}.', sep='\n')
