"""A picture of anchors beside their chosen positives."""

from collections.abc import Sequence
from typing import Optional

import numpy as np
from mmengine.dataset import BaseDataset

from clim_mm.datasets import LoadImage
from clim_mm.picture_file import write_picture


def draw_positives(source: BaseDataset,
                   positives: np.ndarray,
                   anchors: Sequence[int],
                   path: str,
                   labels: Optional[np.ndarray] = None,
                   title: str = '') -> None:
    """Draw a row for each anchor: the anchor, then its positives.

    Args:
        source: The dataset whose ids the table uses.
        positives: (N, P) int, -1 = none, drawn as an empty place.
        anchors: Ids of the anchors.
        path: The picture to write; its ending gives the format.
        labels: (N,) int; a positive of the anchor's label gets a green frame, another a red one.
        title: Above the picture.

    Raises:
        DataError: If an image cannot be read.
    """
    from matplotlib.figure import Figure  # here: trainings import this module, and draw nothing

    num_positives, load = positives.shape[1], LoadImage()
    figure = Figure(figsize=(0.9 * (num_positives + 1.5), 0.95 * len(anchors) + 0.8), layout='constrained')
    grid = figure.subplots(
        len(anchors), num_positives + 1, squeeze=False, gridspec_kw=dict(width_ratios=[1.3] + [1] * num_positives))
    for row, anchor in zip(grid, anchors, strict=True):
        for place, (axes, image_id) in enumerate(zip(row, [anchor, *positives[anchor]], strict=True)):
            axes.set(xticks=[], yticks=[])
            if image_id < 0:
                axes.axis('off')
                continue
            axes.imshow(load(source.get_data_info(int(image_id)))['img'][..., ::-1])
            if labels is None or place == 0:
                color = 'black'
            else:
                color = 'tab:green' if labels[image_id] == labels[anchor] else 'tab:red'
            for spine in axes.spines.values():
                spine.set(color=color, linewidth=2.5)
    grid[0, 0].set_title('anchor', fontsize=9)
    grid[0, 1].set_title('positives', fontsize=9, loc='left')
    figure.suptitle(title, fontsize=10)
    write_picture(figure, path, dpi=110)
