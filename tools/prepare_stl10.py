"""Write STL-10 as folders of PNGs, from the official archive of its binary files.

    python tools/prepare_stl10.py stl10_binary.tar.gz data/stl10

Writes OUT/train/CLASS, OUT/test/CLASS and OUT/unlabelled. --whole adds OUT/whole/CLASS, train and test together, on
which papers on clustering train and test.
"""

import os.path as osp
import tarfile
from collections.abc import Iterator, Mapping

import clim_mm  # noqa: F401  (opens the host's version gate)

# isort: split
import numpy as np
from image_archives import command, kind_of, link, member, opened, save_png, whole_folder
from torchvision.datasets import STL10

from clim_mm.progress import progress_bar

SIDE = 96
SUMS = {STL10.tgz_md5: 'STL-10'}
BYTES = 3 * SIDE * SIDE  # of an image


def images_of(tar: tarfile.TarFile, name: str) -> Iterator[np.ndarray]:
    """The images of a file, (96, 96, 3) uint8 RGB each: it has them by channel, column and row."""
    with member(tar, f'{STL10.base_folder}/{name}_X.bin') as file:
        while block := file.read(BYTES):
            yield np.frombuffer(block, np.uint8).reshape(3, SIDE, SIDE).transpose(2, 1, 0)


def paths_of(tar: tarfile.TarFile, part: str, count: int) -> Iterator[str]:
    """The paths of a part's images: by class if it is labelled, numbered from 1 in it."""
    if part == 'unlabeled':
        yield from (f'unlabelled/{number:06d}.png' for number in range(1, count + 1))
        return
    names = member(tar, f'{STL10.base_folder}/{STL10.class_names_file}').read().decode().split()
    labels = np.frombuffer(member(tar, f'{STL10.base_folder}/{part}_y.bin').read(), np.uint8)
    if len(labels) != count or not 1 <= labels.min() <= labels.max() <= len(names):
        raise ValueError(f'{part} has {count} images and other labels')
    seen = dict.fromkeys(names, 0)
    for name in (names[label - 1] for label in labels):
        seen[name] += 1
        yield f'{part}/{name}/{seen[name]:05d}.png'


def write_stl10(archive: str, out: str, whole: bool = False, sums: Mapping[str, str] = SUMS) -> bool:
    """Write the folders, all or nothing; False, if ``out`` is there already.

    Args:
        sums: Names of sets by the MD5 sums of their archives.
    """
    if osp.lexists(out):
        return False
    name = kind_of(archive, sums, f'{STL10.filename} from the official page of STL-10')
    with opened(archive, name) as tar, whole_folder(out) as folder:
        counts = {part: tar.getmember(f'{STL10.base_folder}/{part}_X.bin').size // BYTES
                  for part in ('train', 'test', 'unlabeled')}
        with progress_bar(total=sum(counts.values()), desc='Writing', unit='image') as bar:
            for part, count in counts.items():
                for path, pixels in zip([*paths_of(tar, part, count)], images_of(tar, part), strict=True):
                    save_png(folder / path, pixels)
                    if whole and part != 'unlabeled':
                        _, label, file = path.split('/')
                        link(folder / path, folder / 'whole' / label / f'{part}_{file}')
                    bar.update()
    return True


if __name__ == '__main__':
    command(write_stl10, 'Write STL-10 as folders of PNGs.',
            'stl10_binary.tar.gz', 'data/stl10')
