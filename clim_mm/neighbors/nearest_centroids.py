"""The nearest centres of each feature: the cluster it belongs to, and the ones its neighbours may be in."""

import numpy as np

from clim_mm.progress import progress_bar

from .blocks import ROWS_PER_BLOCK, blocks
from .faiss_backend import load_faiss, on_every_core, on_gpus
from .sizes import DEFAULT_MEMORY

_BYTES_OF_A_RESULT = 12  # faiss's distance and id


@on_every_core
def nearest_centroids(features: np.ndarray,
                      centroids: np.ndarray,
                      num: int,
                      memory: int = DEFAULT_MEMORY,
                      progress: bool = False) -> np.ndarray:
    """The ``num`` nearest centres of each feature by L2 distance, nearest first.

    Args:
        features: (N, d) float32.
        centroids: (m, d) float32.
        num: From 1 to m.
        memory: Bytes for what a block of features takes.
        progress: Show a progress bar.

    Returns:
        (N, num) int32; the first column is the assignment to clusters.

    Raises:
        ConfigError: If the memory does not hold a small block.
        MissingDependencyError: If faiss is missing.
    """
    index = on_gpus(load_faiss().IndexFlatL2(centroids.shape[1]))
    index.add(np.ascontiguousarray(centroids, dtype=np.float32))
    nearest = np.empty((len(features), num), dtype=np.int32)
    with progress_bar(total=len(features), desc='assign', unit='image', show=progress) as bar:
        row = _BYTES_OF_A_RESULT * num
        for block in blocks(len(features), row, min(memory, ROWS_PER_BLOCK * row)):
            nearest[block] = index.search(features[block], num)[1]
            bar.update(len(nearest[block]))
    return nearest
