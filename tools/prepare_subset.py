"""Copy the first images of each class into a smaller set, for studies of minutes.

    python tools/prepare_subset.py data/cifar10 data/cifar10_10k --train 1000 --val 200 --test 200

By name, of FOLDER/train/CLASS the first become OUT/train/CLASS and the next OUT/val/CLASS; of FOLDER/test/CLASS the
first become OUT/test/CLASS. The same folder gives the same subset.
"""

import argparse
import os
import os.path as osp
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import clim_mm  # noqa: F401  (opens the host's version gate)

# isort: split
from clim_mm.datasets.image_folders import find_images
from clim_mm.errors import DataError
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.progress import progress_bar


def first_of_each(folder: str, counts: dict[str, int]) -> list[tuple[str, str]]:
    """(path, split) of the images in a folder of classes: the first ``counts`` of each class by name, split by split.

    Paths are below the folder. A class with too few images raises DataError.
    """
    if not osp.isdir(folder):
        raise DataError(f'There is no folder {folder}: give one that has train/CLASS and test/CLASS.')
    of_class = defaultdict(list)
    for path in find_images(folder).images:
        if os.sep in path:
            of_class[path.partition(os.sep)[0]].append(path)
    if not of_class:
        raise DataError(f'{folder} has no folder of images for a class: give a folder that has train/CLASS and '
                        'test/CLASS.')
    chosen = []
    for name, paths in of_class.items():
        if len(paths) < (asked := sum(counts.values())):
            raise DataError(f'{folder}/{name} has {len(paths)} images, and {asked} are asked for: ask for fewer.')
        left = iter(paths)
        chosen += [(next(left), split) for split, count in counts.items() for _ in range(count)]
    return chosen


def write_subset(folder: str, out: str, train: int, val: int, test: int) -> int:
    """Copy the images and give their number; ``out`` is complete, or not there."""
    if osp.lexists(out):
        raise DataError(f'{out} is there already: delete it, or give another folder.')
    chosen = [(osp.join(folder, part, path), osp.join(split, path))
              for part, counts in (('train', dict(train=train, val=val)), ('test', dict(test=test)))
              if any(counts.values()) for path, split in first_of_each(osp.join(folder, part), counts)]
    parent = Path(osp.abspath(out)).parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as unfinished:
        subset = Path(unfinished, 'subset')
        for image, path in progress_bar(chosen, desc='Copying', unit='image'):
            (subset / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image, subset / path)
        shutil.move(str(subset), out)
    return len(chosen)


def count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is no number of images.')
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description='Copy the first images of each class into a smaller set.')
    parser.add_argument('folder', help='with train/CLASS and test/CLASS')
    parser.add_argument('out', help='the smaller set')
    parser.add_argument('--train', type=count, required=True, help='images of each class to train on')
    parser.add_argument('--val', type=count, default=0, help='the next of the training part (default: 0)')
    parser.add_argument('--test', type=count, default=0, help='of the test part (default: 0)')
    args = parser.parse_args()
    with errors_in_a_sentence():
        images = write_subset(args.folder, args.out, args.train, args.val, args.test)
        print(f'{args.out}: {images} images.')


if __name__ == '__main__':
    main()
