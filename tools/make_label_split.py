"""Write a list of labelled images for semi-supervised training: a share of a class folder, as many of each class.

    python tools/make_label_split.py data/imagenet/train --percent 1 --out data/imagenet/1percent.txt
"""

import argparse
import os
import os.path as osp

import clim_mm  # noqa: F401  (opens the host's version gate)

# isort: split
from clim_mm.checkpoints import write_atomically
from clim_mm.datasets import balanced_split, labels_of
from clim_mm.datasets.image_lists import as_list
from clim_mm.datasets.source import build_source
from clim_mm.errors import DataError
from clim_mm.launch.commands import errors_in_a_sentence


def main() -> None:
    parser = argparse.ArgumentParser(description='Write a list of labelled images, as many of each class.')
    parser.add_argument('folder', help='with a folder for each class')
    parser.add_argument('--percent', type=float, required=True, help='of the images')
    parser.add_argument('--seed', type=int, default=0, help='of the draw (default: 0)')
    parser.add_argument('--out', required=True, help='the list')
    args = parser.parse_args()
    with errors_in_a_sentence():
        if not osp.isdir(args.folder):
            raise DataError(f'There is no folder {args.folder}: give the one that has a folder for each class.')
        if not any(entry.is_dir() for entry in os.scandir(args.folder)):
            raise DataError(f'The images in {args.folder} have no labels to be listed: give a folder with a folder of '
                            'images for each class.')
        source = build_source(dict(type='ClassFolder', data_prefix=args.folder))
        chosen = balanced_split(labels_of(source), args.percent / 100, args.seed)
        paths = [osp.relpath(source.get_data_info(int(i))['img_path'], args.folder) for i in chosen]
        write_atomically(args.out, as_list(paths))
        print(f'{args.out}: {len(paths)} of {len(source)} images, of {len(source.CLASSES)} classes.')


if __name__ == '__main__':
    main()
