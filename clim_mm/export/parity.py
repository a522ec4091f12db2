"""Whether two networks give the same features."""

import torch
from torch import nn

from clim_mm.errors import CheckpointError

from .libraries import Library
from .program import Network, network_of

MOST = 1e-5  # difference of float32 features
IMAGES, SIDE = 2, 224  # random ones, and their side in pixels


def check_parity(original: nn.Module, library: Library, path: str, depth: int, seed: int = 0) -> float:
    """Compare a backbone with a library's network that has loaded the exported file, on random images.

    Args:
        original: MMSelfSup's ResNet, in eval mode.
        library: That loads the file.
        path: The file or folder.
        depth: Of the ResNet.
        seed: Of the images.

    Returns:
        The largest difference of the last stage's output or of its mean over the places.

    Raises:
        CheckpointError: If it is above ``MOST``, or no number.
    """
    images = torch.randn(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    difference = largest_difference(network_of(original), library.load(path, depth), images)
    if not difference <= MOST:  # true of NaN as well
        raise CheckpointError(f'The features of {library.name} with the exported weights differ from the original by '
                              f'{difference:.1e}, more than {MOST:.0e}, so nothing is written: install the library in '
                              'the version that requirements/tests.txt has, or report this.')
    return difference


@torch.no_grad()
def largest_difference(first: Network, second: Network, images: torch.Tensor) -> float:
    """The largest absolute difference of two networks' outputs; NaN if one of them has values that are no numbers.

    Args:
        first, second: Networks on the CPU.
        images: (N, 3, H, W) float32.
    """
    differences = [(a - b).abs().max() if a.shape == b.shape else torch.tensor(float('inf'))
                   for a, b in zip(first(images), second(images), strict=True)]
    return torch.stack(differences).max().item()  # Python's max would lose a NaN
