"""TIFF files of one's own: Pillow writes few kinds."""

import struct

import numpy as np

_TYPES = {2: 'H', 3: 'H', 4: 'I'}


def tiff(pixels, bits=None, numbers=1, photometric=None, extra=(), planes=False, compression=1):
    """A TIFF of (H, W) or (H, W, channels).

    Args:
        pixels: Of the type that is written; of 12 bits uint16, of even width, which are packed.
        bits: Of a sample; those of the type where not given.
        numbers: 1 unsigned, 2 signed, 3 floating-point.
        photometric: 0 white is zero, 1 grey, 2 RGB, 5 CMYK. By the channels where not given.
        extra: One number for each channel beyond the colours: 0 anything, 1 or 2 alpha.
        planes: One channel after the other.
        compression: That is stated.
    """
    height, width, channels = np.atleast_3d(pixels).shape
    bits = bits or 8 * pixels.dtype.itemsize
    stored = np.moveaxis(np.atleast_3d(pixels), 2, 0) if planes else pixels
    data = _packed(pixels) if bits == 12 else np.ascontiguousarray(stored).tobytes()
    strips = [len(data) // channels] * channels if planes else [len(data)]
    starts = [8 + sum(strips[:i]) for i in range(len(strips))]
    if photometric is None:
        photometric = 2 if channels >= 3 else 1
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels), (259, 3, [compression]),
            (262, 3, [photometric]), (273, 4, starts), (277, 3, [channels]), (278, 4, [height]), (279, 4, strips),
            (284, 3, [2 if planes else 1]), *([(338, 3, list(extra))] if extra else []), (339, 3, [numbers] * channels)]
    directory, more = 8 + len(data), b''
    behind = directory + 2 + 12 * len(tags) + 4
    entries = b''
    for tag, kind, values in tags:
        value = struct.pack(f'<{len(values)}{_TYPES[kind]}', *values)
        if len(value) > 4:
            value, more = struct.pack('<I', behind + len(more)), more + value
        entries += struct.pack('<HHI', tag, kind, len(values)) + value.ljust(4, b'\0')
    return (b'II*\0' + struct.pack('<I', directory) + data + struct.pack('<H', len(tags)) + entries + bytes(4) + more)


def _packed(values):
    even, odd = values[:, 0::2], values[:, 1::2]
    return np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], axis=-1).astype(np.uint8).tobytes()
