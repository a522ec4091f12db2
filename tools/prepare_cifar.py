"""Write CIFAR-10 or CIFAR-100 as folders of PNGs, from the official archive of its Python version.

    python tools/prepare_cifar.py cifar-10-python.tar.gz data/cifar10
    python tools/prepare_cifar.py cifar-100-python.tar.gz data/cifar100

Writes OUT/train/CLASS and OUT/test/CLASS; for CIFAR-100 also OUT/superclasses.txt, a line CLASS<TAB>SUPERCLASS each.
--whole adds OUT/whole/CLASS, train and test together, on which papers on clustering train and test.
"""

import os.path as osp
import pickle
from collections.abc import Iterator
from typing import Any, NamedTuple

import clim_mm  # noqa: F401  (opens the host's version gate)

# isort: split
import numpy as np
from image_archives import command, kind_of, link, member, opened, save_png, whole_folder
from torchvision.datasets import CIFAR10, CIFAR100

from clim_mm.progress import progress_bar

SUMS: dict[str, type[CIFAR10]] = {kind.tgz_md5: kind for kind in (CIFAR10, CIFAR100)}


class Images(NamedTuple):
    """Images of one part: pixels (N, 32, 32, 3) uint8 in RGB, and class names, N."""

    pixels: np.ndarray
    names: list[str]


# _codecs.encode gives the bytes of an array that Python 3 wrote.
_OF_ARRAYS = {('numpy', 'ndarray'), ('numpy', 'dtype'), ('numpy.core.multiarray', '_reconstruct'),
              ('numpy._core.multiarray', '_reconstruct'), ('_codecs', 'encode')}


class _PlainUnpickler(pickle.Unpickler):
    """Admits arrays besides Python's plain values."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _OF_ARRAYS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f'{module}.{name} is no plain value')


def read_parts(archive: str, kind: type[CIFAR10]) -> tuple[dict[str, Images], dict[str, str]]:
    """Read the parts ``train`` and ``test``, and the superclasses by class, if there are any."""
    parts, superclasses = {}, {}
    with opened(archive, kind.__name__) as tar:
        def read(name: str) -> dict:
            return _PlainUnpickler(member(tar, f'{kind.base_folder}/{name}'), encoding='latin1').load()

        meta = read(kind.meta['filename'])
        names = meta[kind.meta['key']]
        for part, files in (('train', kind.train_list), ('test', kind.test_list)):
            batches = [read(name) for name, _ in files]
            labels = [label for batch in batches for label in batch.get('labels', batch.get('fine_labels'))]
            pixels = np.concatenate([batch['data'] for batch in batches])
            pixels = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            parts[part] = Images(pixels, [names[label] for label in labels])
            for batch in batches:
                superclasses.update({names[fine]: meta['coarse_label_names'][coarse] for fine, coarse in zip(
                    batch.get('fine_labels', ()), batch.get('coarse_labels', ()), strict=True)})
    return parts, superclasses


def numbered(images: Images) -> Iterator[tuple[str, np.ndarray]]:
    """``CLASS/NUMBER.png``, counted within the class from 1, and the pixels of each image."""
    seen: dict[str, int] = {}
    for pixels, name in zip(images.pixels, images.names, strict=True):
        seen[name] = seen.get(name, 0) + 1
        yield f'{name}/{seen[name]:05d}.png', pixels


def write_cifar(archive: str, out: str, whole: bool = False, sums: dict[str, type[CIFAR10]] = SUMS) -> bool:
    """Write the folders, all or nothing; False, if ``out`` is there already.

    Args:
        sums: Sets by the MD5 sums of their archives.
    """
    if osp.lexists(out):
        return False
    official = 'cifar-10-python.tar.gz or cifar-100-python.tar.gz from the official page of CIFAR-10 and CIFAR-100'
    parts, superclasses = read_parts(archive, kind_of(archive, sums, official))
    total = sum(len(images.names) for images in parts.values())
    with whole_folder(out) as folder, progress_bar(total=total, desc='Writing', unit='image') as bar:
        for part, images in parts.items():
            for path, pixels in numbered(images):
                save_png(folder / part / path, pixels)
                if whole:
                    link(folder / part / path, folder / 'whole' / osp.dirname(path) / f'{part}_{osp.basename(path)}')
                bar.update()
        if superclasses:
            lines = (f'{name}\t{superclass}\n' for name, superclass in sorted(superclasses.items()))
            (folder / 'superclasses.txt').write_text(''.join(lines))
    return True


if __name__ == '__main__':
    command(write_cifar, 'Write CIFAR-10 or CIFAR-100 as folders of PNGs.',
            'cifar-10-python.tar.gz or cifar-100-python.tar.gz', 'data/cifar10')
