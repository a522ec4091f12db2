"""Write scikit-learn's bundled digits (1,797 real 8x8 scans) as two folders of images, a folder a class.

    python tools/prepare_digits.py data/digits

Nothing is downloaded. Every fifth image of each class is held out in data/digits/test.
"""

import argparse
import io
import os.path as osp
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from clim_mm.launch.commands import errors_in_a_sentence

SIDE = 32  # enlarged, so that crops are not bound to an 8-pixel grid


def write_digits(folder: str) -> None:
    """Write ``folder/{train,test}/LABEL/NUMBER.png``; a folder that is complete is left alone."""
    if osp.isdir(folder):
        return
    Path(folder).parent.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    seen = np.zeros(10, dtype=int)
    with tempfile.TemporaryDirectory(dir=Path(folder).parent) as unfinished:
        for number, (scan, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            split = 'test' if seen[label] % 5 == 4 else 'train'
            seen[label] += 1
            path = Path(unfinished, 'digits', split, str(label), f'{number:04d}.png')
            path.parent.mkdir(parents=True, exist_ok=True)
            gray = Image.fromarray(np.rint(scan * 255 / 16).astype(np.uint8))  # the scans have 17 levels of gray
            gray = gray.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            file = io.BytesIO()
            gray.save(file, 'PNG')
            path.write_bytes(file.getvalue())  # Pillow's own writing does not tell of a full disk
        shutil.move(osp.join(unfinished, 'digits'), folder)  # complete, or not there


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Write the digits as folders of images.')
    parser.add_argument('folder', nargs='?', default='data/digits')
    arguments = parser.parse_args()
    with errors_in_a_sentence():
        write_digits(arguments.folder)
