"""Browse the positives of a checkpoint: one HTML page that opens from a file.

    python tools/browse_neighbors.py CONFIG work_dirs/RUN/epoch_20.pth
"""

import argparse
import os.path as osp

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
from clim_mm.checkpoints import read_checkpoint, write_atomically
from clim_mm.checks import check_whole
from clim_mm.config_file import load_config
from clim_mm.datasets import labels_of
from clim_mm.evaluation.checkpoint_neighbors import (
    CheckpointNeighbors,
    extract_settings,
    neighbors_of_checkpoint,
    table_of,
)
from clim_mm.launch.commands import Options, errors_in_a_sentence
from clim_mm.launch.config_checks import check_config
from clim_mm.neighbors.refresh_health import purity
from clim_mm.visualization import PageHead, evenly_spread, positives_page
from clim_mm.visualization.page import SIDE
from clim_mm.visualization.positives_page import ANCHORS

NOTE = ('Distances, clusters and neighbours are by the weights of {name}, the centres and the positives of the last '
        'refresh before it. If the features have moved far since, the reasons say little: take --anew.')
NOTE_ANEW = 'Chosen anew, as a refresh right after {name} would. The training itself had the table before.'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Make a page of anchors, their positives, and why they were chosen.')
    parser.add_argument('config', help='the config file of the training')
    parser.add_argument('checkpoint', help='one of its checkpoints')
    parser.add_argument('--out', metavar='FILE', help='the page (default: neighbors_CHECKPOINT.html beside it)')
    parser.add_argument(
        '--since', metavar='CHECKPOINT', help='an earlier checkpoint, against whose table changes are shown')
    parser.add_argument(
        '--anew', action='store_true', help='choose positives anew by the checkpoint\'s weights, and show what changes')
    parser.add_argument('--num-anchors', type=int, default=ANCHORS, metavar='A')
    parser.add_argument('--thumbnail', type=int, default=SIDE, metavar='PIXELS', help='side of the pictures')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE',
        help='override settings, as in train_dataloader.dataset.dataset.data_root=FOLDER')
    return parser.parse_args()


def shares(seen: CheckpointNeighbors) -> dict[str, float]:
    """What the page says of the whole training set."""
    whole = {'without positive': seen.found.report['share_without_positive']}
    labels = labels_of(seen.source)
    if labels is not None:
        whole['purity'] = purity(seen.found.positives, labels)
    return whole


def main() -> None:
    args = parse_args()
    name = osp.basename(args.checkpoint)
    out = args.out or osp.join(osp.dirname(args.checkpoint), f'neighbors_{osp.splitext(name)[0]}.html')
    with errors_in_a_sentence():
        check_whole('--num-anchors', args.num_anchors, least=1)
        check_whole('--thumbnail', args.thumbnail, least=16, most=256)
        cfg = load_config(args.config, cfg_options=args.cfg_options)
        check_config(cfg)
        seen = neighbors_of_checkpoint(cfg, args.checkpoint, args.anew)
        anchors = evenly_spread(len(seen.table), args.num_anchors)
        before = seen.table if args.anew else None
        if args.since:
            before = table_of(read_checkpoint(args.since), len(seen.table), args.since)
        trained = '' if seen.epochs is None else f', after {seen.epochs} epochs'
        note = NOTE_ANEW if args.anew else NOTE
        head = PageHead(
            f'Positives in {name}{trained}', seen.strategy, note.format(name=name), shares(seen))
        page = positives_page(
            seen.source, seen.found, anchors, head, None if before is None else before[anchors],
            args.thumbnail, load=extract_settings(cfg)['pipeline'][:1]).encode()
        write_atomically(out, page)
        print(f'{len(anchors)} of {len(seen.table)} images as anchors, {len(page) / 1e6:.1f} MB: {out}')


if __name__ == '__main__':
    main()
