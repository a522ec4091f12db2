"""Find near-duplicates in a folder of images.

    clim-mm duplicates CHECKPOINT FOLDER --out duplicates.html --csv duplicates.csv
"""

import argparse

import clim_mm  # noqa: F401
from clim_mm.checkpoints import write_atomically
from clim_mm.checks import check_number
from clim_mm.embedding import duplicate_groups, embed
from clim_mm.embedding.duplicates import THRESHOLD, groups_csv
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.visualization import duplicates_page

from .embed import add_embedding_arguments, launched, told

_NEIGHBORS = 20  # of each image that are looked at


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Find near-duplicates in a folder of images.')
    add_embedding_arguments(parser)
    parser.add_argument('--threshold', type=float, default=THRESHOLD,
                        help=f'least cosine of a pair, up to 1 (default: {THRESHOLD})')
    parser.add_argument('--out', default='duplicates.html', metavar='FILE', help='the page (default: duplicates.html)')
    parser.add_argument('--csv', default='duplicates.csv', metavar='FILE', help='the table (default: duplicates.csv)')
    return parser.parse_args()


def main() -> None:
    """Find them as the command line says."""
    args = parse_args()
    with errors_in_a_sentence(), launched():
        check_number('--threshold', args.threshold, above=0, most=1)
        found = embed(args.checkpoint, args.folder, None, _NEIGHBORS, None, args.batch_size, args.num_workers)
        if found is None:
            return
        groups = duplicate_groups(found, args.threshold)
        shown = [[(int(found.ids[one.row]), one.cosine, one.num_bytes) for one in group] for group in groups]
        page = duplicates_page(found.source, shown, len(found.ids), args.threshold,
                               f'Near-duplicates in {args.folder}')
        write_atomically(args.out, page.encode())
        write_atomically(args.csv, groups_csv(found, groups).encode())
        print(told(found))
        print(f'{sum(map(len, groups))} images are in {len(groups)} groups of near-duplicates, of cosine '
              f'{args.threshold} and more: the page is {args.out}, the table {args.csv}.')
