"""Write CIFAR-10 or CIFAR-100 as folders of PNGs, from the official archive of its Python version.

    python tools/prepare_cifar.py cifar-10-python.tar.gz data/cifar10
    python tools/prepare_cifar.py cifar-100-python.tar.gz data/cifar100

Writes OUT/train/CLASS and OUT/test/CLASS; for CIFAR-100 also OUT/superclasses.txt, a line CLASS<TAB>SUPERCLASS each.
--whole adds OUT/whole/CLASS, train and test together, on which papers on clustering train and test.
"""

import argparse
import hashlib
import io
import os
import os.path as osp
import pickle
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

import clim_mm  # noqa: F401  (opens the host's version gate)

# isort: split
from clim_mm.errors import DataError
from clim_mm.launch.commands import errors_in_a_sentence
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


def kind_of(archive: str, sums: dict[str, type[CIFAR10]]) -> type[CIFAR10]:
    """Which set an archive holds, by its MD5 sum."""
    if not osp.isfile(archive):
        raise DataError(f'There is no file {archive}: give cifar-10-python.tar.gz or cifar-100-python.tar.gz from the '
                        'official page of the CIFAR-10 and CIFAR-100 datasets.')
    with open(archive, 'rb') as file:
        found = hashlib.md5(usedforsecurity=False)
        while block := file.read(1 << 20):
            found.update(block)
    if found.hexdigest() not in sums:
        raise DataError(f'{archive} was cut or is another file: its MD5 sum is {found.hexdigest()}, not that of an '
                        'official archive of the Python version; fetch it again from the official page of CIFAR-10 '
                        'and CIFAR-100.')
    return sums[found.hexdigest()]


def read_parts(archive: str, kind: type[CIFAR10]) -> tuple[dict[str, Images], dict[str, str]]:
    """Read the parts ``train`` and ``test``, and the superclasses by class, if there are any.

    Nothing is unpacked to disk.
    """
    try:
        with tarfile.open(archive) as tar:
            def read(name: str) -> dict:
                file = tar.extractfile(f'{kind.base_folder}/{name}')
                if file is None:
                    raise KeyError(name)
                return _PlainUnpickler(file, encoding='latin1').load()

            meta = read(kind.meta['filename'])
            names = meta[kind.meta['key']]
            parts, superclasses = {}, {}
            for part, files in (('train', kind.train_list), ('test', kind.test_list)):
                batches = [read(name) for name, _ in files]
                labels = [label for batch in batches for label in batch.get('labels', batch.get('fine_labels'))]
                pixels = np.concatenate([batch['data'] for batch in batches])
                pixels = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
                parts[part] = Images(pixels, [names[label] for label in labels])
                for batch in batches:
                    superclasses.update({names[fine]: meta['coarse_label_names'][coarse] for fine, coarse in zip(
                        batch.get('fine_labels', ()), batch.get('coarse_labels', ()), strict=True)})
    except (tarfile.TarError, EOFError, zlib.error, KeyError, TypeError, ValueError, IndexError,
            pickle.UnpicklingError) as error:
        raise DataError(f'{archive} cannot be read as {kind.__name__} ({error}): fetch it again from the official page '
                        'of CIFAR-10 and CIFAR-100.') from error
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
    parts, superclasses = read_parts(archive, kind_of(archive, sums))
    parent = Path(osp.abspath(out)).parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as unfinished:
        root = Path(unfinished, 'cifar')
        total = sum(len(images.names) for images in parts.values())
        with progress_bar(total=total, desc='Writing', unit='image') as bar:
            for part, images in parts.items():
                for path, pixels in numbered(images):
                    file = io.BytesIO()
                    Image.fromarray(pixels).save(file, 'PNG')
                    (root / part / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / part / path).write_bytes(file.getvalue())  # Pillow's writing does not tell of a full disk
                    if whole:
                        joined = root / 'whole' / osp.dirname(path) / f'{part}_{osp.basename(path)}'
                        joined.parent.mkdir(parents=True, exist_ok=True)
                        _link(root / part / path, joined)
                    bar.update()
        if superclasses:
            lines = (f'{name}\t{superclass}\n' for name, superclass in sorted(superclasses.items()))
            (root / 'superclasses.txt').write_text(''.join(lines))
        shutil.move(str(root), out)  # complete, or not there
    return True


def _link(path: Path, second: Path) -> None:
    try:
        os.link(path, second)
    except OSError:  # some file systems have no hard links
        shutil.copyfile(path, second)


def main() -> None:
    parser = argparse.ArgumentParser(description='Write CIFAR-10 or CIFAR-100 as folders of PNGs.')
    parser.add_argument('archive', help='cifar-10-python.tar.gz or cifar-100-python.tar.gz')
    parser.add_argument('out', help='such as data/cifar10')
    parser.add_argument('--whole', action='store_true', help='also write train and test together, as OUT/whole')
    args = parser.parse_args()
    with errors_in_a_sentence():
        written = write_cifar(args.archive, args.out, args.whole)
        print(f'{args.out} is written.' if written else f'{args.out} is there already and was left as it is: delete '
              'it to have it written again.')


if __name__ == '__main__':
    main()
