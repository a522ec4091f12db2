"""Draw ten classes of textures in colours, light and scale that tell nothing of the class, as small JPEGs.

    python tools/prepare_textures.py

Writes data/textures/train and data/textures/test, a folder a class. Unlike the digits they are not aligned, so that
pixels alone do not tell the classes apart. The same seed gives the same pictures.
"""

import argparse
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from clim_mm.launch.commands import errors_in_a_sentence

SIDE = 48
TRAIN, TEST = 160, 40  # of each class
Field = Callable[[np.random.Generator], np.ndarray]  # (SIDE, SIDE) float, of any range


def noise(rng: np.random.Generator, slope: float) -> np.ndarray:
    """Random phases under a spectrum that falls with the power ``slope`` of the frequency."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
    frequency[0, 0] = np.inf
    waves = np.fft.fft2(rng.normal(size=(SIDE, SIDE))) / frequency**slope
    field = np.fft.ifft2(waves).real
    return (field - field.mean()) / field.std()


def plane(rng: np.random.Generator, bend: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the pixels, turned, moved and bent; one unit is about a fifth of the picture."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - rng.random((2, 1, 1))
    angle, scale = rng.uniform(-np.pi / 6, np.pi / 6), rng.uniform(4.0, 5.0)
    u, v = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    return scale * u + bend * noise(rng, 2.2), scale * v + bend * noise(rng, 2.2)


def to_points(rng: np.random.Generator) -> np.ndarray:
    """Distances of the pixels to the nearest and to the second nearest of scattered points, (2, SIDE, SIDE)."""
    u, v = plane(rng)
    points = rng.uniform(-8, 8, size=(256, 2))
    distances, _ = cKDTree(points).query(np.stack([u, v], axis=-1).reshape(-1, 2), k=2)
    return distances.T.reshape(2, SIDE, SIDE)


def stripes(rng: np.random.Generator) -> np.ndarray:
    return np.sin(2 * np.pi * plane(rng)[0])


def checks(rng: np.random.Generator) -> np.ndarray:
    u, v = plane(rng)
    return np.sign(np.sin(np.pi * u) * np.sin(np.pi * v))


def dots(rng: np.random.Generator) -> np.ndarray:
    u, v = plane(rng)
    return (np.hypot(u - np.rint(u), v - np.rint(v)) < rng.uniform(0.2, 0.35)).astype(float)


def rings(rng: np.random.Generator) -> np.ndarray:
    return np.sin(2 * np.pi * np.hypot(*plane(rng)))


def bricks(rng: np.random.Generator) -> np.ndarray:
    u, v = plane(rng, bend=0.05)
    row = np.floor(v)
    across = (u / 2 + 0.5 * (row % 2)) % 1
    return ((across > 0.08) & (v - row > 0.16)).astype(float) + 0.15 * noise(rng, 1.5)


def weave(rng: np.random.Generator) -> np.ndarray:
    u, v = plane(rng, bend=0.05)
    over = (np.floor(u) + np.floor(v)) % 2
    return np.where(over > 0, np.cos(2 * np.pi * (u % 1 - 0.5)), np.cos(2 * np.pi * (v % 1 - 0.5)))


CLASSES: dict[str, Field] = dict(
    bricks=bricks, cells=lambda rng: to_points(rng)[0], checks=checks, clouds=lambda rng: noise(rng, 2.0),
    cracks=lambda rng: np.minimum(np.subtract(*to_points(rng)[::-1]), 0.3), dots=dots,
    grain=lambda rng: noise(rng, 0.7), rings=rings, stripes=stripes, weave=weave)


def picture(field: Field, rng: np.random.Generator) -> Image.Image:
    """One picture in gray: the field, in one mean and spread of brightness, under uneven light and noise."""
    values = field(rng)
    values = (values - values.mean()) / values.std() * rng.choice([-1, 1])
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    light = rng.uniform(-0.2, 0.2) * x + rng.uniform(-0.2, 0.2) * y
    pixels = 0.5 + 0.16 * np.clip(values, -2.5, 2.5) + light + rng.normal(0, 0.06, (SIDE, SIDE))
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def write_textures(root: str, train: int = TRAIN, test: int = TEST, seed: int = 0) -> None:
    """Write ``train`` and ``test`` pictures of each class below ``root``; a folder that is complete is left alone."""
    if os.path.isdir(root):
        return
    Path(root).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=Path(root).parent) as unfinished:
        for number, (name, field) in enumerate(CLASSES.items()):
            rng = np.random.default_rng((seed, number))
            for split, count in (('train', train), ('test', test)):
                folder = Path(unfinished, 'textures', split, name)
                folder.mkdir(parents=True)
                for i in range(count):
                    file = io.BytesIO()
                    picture(field, rng).save(file, 'JPEG', quality=90)
                    # Pillow's own writing does not tell of a full disk.
                    Path(folder, f'{i:04d}.jpg').write_bytes(file.getvalue())
        shutil.move(str(Path(unfinished, 'textures')), root)  # complete, or not there


def main() -> None:
    parser = argparse.ArgumentParser(description='Draw ten classes of textures.')
    parser.add_argument('folder', nargs='?', default='data/textures')
    arguments = parser.parse_args()
    with errors_in_a_sentence():
        write_textures(arguments.folder)


if __name__ == '__main__':
    main()
