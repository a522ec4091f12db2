"""Images of one colour each, so that pixels tell which file a view was made of, and ways to damage them."""

import io

import numpy as np
from PIL import Image


def color_of(number):
    """RGB of image ``number``, 0 to 24; red alone tells it apart."""
    return 10 * number, 250 - 10 * number, 60 + 5 * number


def write_colored(root, number):
    """Write the images; their ids follow from their names. Give the paths."""
    root.mkdir(parents=True, exist_ok=True)
    paths = [root / f'{i:02d}.png' for i in range(number)]
    for i, path in enumerate(paths):
        Image.new('RGB', (24, 20), color_of(i)).save(path)
    return paths


def number_of(view):
    """Which image a (3, r, r) uint8 BGR view shows; any pixel of another image is an error."""
    blue, green, red = view.reshape(3, -1).unique(dim=1).flatten().tolist()
    assert (red, green, blue) == color_of(red // 10)
    return red // 10


def cut_off(path):
    """Leave half of a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)).save(buffer, 'JPEG')
    path.write_bytes(buffer.getvalue()[:len(buffer.getvalue()) // 2])


def empty(path):
    """Leave nothing."""
    path.write_bytes(b'')


def make_text(path):
    """Leave what a web server may have said instead."""
    path.write_text('404 not found\n')


REASONS = {cut_off: 'it is cut off or damaged, or of a kind that is not read', empty: 'the file is empty',
           make_text: 'it is cut off or damaged, or of a kind that is not read'}


def listing(entries):
    """What ``quarantine.txt`` must hold."""
    return ''.join(f'{i}\t{entry}\n' for i, entry in sorted(entries.items()))


def damage(paths, ways):
    """Damage image by image.

    Args:
        paths: Of all images.
        ways: By id, how.

    Returns:
        The entries that the quarantine must have.
    """
    for number, way in ways.items():
        way(paths[number])
    return {number: f'{paths[number]}\t{REASONS[way]}' for number, way in ways.items()}
