"""What the network is fed, and a picture of it: a row for each sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Optional

import mmcv
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from clim_mm.datasets import CutMix, LoadImage, stack_collate
from clim_mm.datasets.device_views import Mixture, rendered

from .page import label_of

ANCHOR, POSITIVE, PLAIN = '#1f5fbf', '#e07b00', '#666666'  # told apart by people who do not see red and green too
_HEADINGS = dict(anchor_key='key of the anchor', positive_key='key of the positive', anchor_query='anchor, unmixed',
                 positive_query='positive, unmixed', anchor_crops='crops of the anchor')
_INCHES, _LEAST_WIDTH = 1.25, 0.6  # of the largest view's column; of the narrowest, as a share of it, for its text


@dataclass(frozen=True)
class FedView:
    """One input of the network.

    Attributes:
        image: (r, r, 3) uint8, RGB.
        role: The view's name, such as ``query``; ``view`` if the views have no names.
        lam: Of a query, the weight of the anchor's key; None otherwise.
        box: Of a query of CutMix, top, left, bottom, right of the positive's patch in pixels; None otherwise.
    """

    image: np.ndarray
    role: str
    lam: Optional[float] = None
    box: Optional[tuple[int, int, int, int]] = None


@dataclass(frozen=True)
class FedSample:
    """A sample as the network gets it: the ids of the anchor and the positive, -1 = none, and the network's inputs."""

    sample_idx: int  # another than was asked for if that is unreadable
    positive_idx: int
    views: list[FedView]


def fed_sample(dataset: Dataset, sample_idx: int, to_rgb: bool = True) -> FedSample:
    """Draw a sample as a worker of the training does; ``to_rgb`` reverses the channels of images read as BGR."""
    packed, boxes = _drawn(dataset, sample_idx)
    inputs, sample = _unpacked(packed)
    if not isinstance(inputs, dict):
        return FedSample(sample_idx, -1, [FedView(_picture(view, to_rgb), 'view') for view in inputs])
    of_queries = [*zip_longest(map(float, sample.lam), boxes)]  # unmixed queries, which come last, have no box
    views = [FedView(_picture(view, to_rgb), name, *(of_queries[place] if name == 'query' else ()))
             for name, images in inputs.items() for place, view in enumerate(images)]
    return FedSample(int(sample.sample_idx.value), int(sample.positive_idx), views)


def _drawn(dataset: Any, sample_idx: int) -> tuple[Any, list]:
    """A sample, and the boxes that CutMix has drawn for it."""
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    mixing: Any = next((step for step in steps if isinstance(step, CutMix)), None)
    if mixing is None:
        return dataset[sample_idx], []
    boxes: list = []

    def draw(sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[Mixture]:
        mixtures = CutMix.draw(mixing, sizes, rng)
        boxes[:] = [mixture.box if mixture.lam < 1 else None for mixture in mixtures]
        return mixtures

    mixing.draw = draw
    try:
        return dataset[sample_idx], boxes
    finally:
        del mixing.draw


def _unpacked(packed: Any) -> tuple[Any, Any]:
    inputs, sample = packed['inputs'], packed['data_samples']
    if 'draws' not in packed:
        return inputs, sample
    # What DeviceViews makes of a batch of one.
    batch = stack_collate([packed])
    finished = rendered(batch['inputs'], batch['draws']['photometric'], batch['draws'].get('mixtures'), sample.plan)
    return {name: [view[0].round().to(torch.uint8) for view in views] for name, views in finished.items()}, sample


def _picture(view: torch.Tensor, to_rgb: bool) -> np.ndarray:
    image = view.numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(image[:, :, ::-1] if to_rgb else image)


def draw_views(samples: Sequence[FedSample], source: BaseDataset, title: str = '') -> Figure:
    """Draw the images of each sample, then the views that come of them; all samples have views of the same sizes.

    Blue is the anchor's, orange the positive's: a query has its pasted patch outlined in orange.
    """
    views = samples[0].views
    paired = views[0].role != 'view'
    largest = max(len(view.image) for view in views)
    widths = [1.0] * (1 + paired) + [max(len(view.image) / largest, _LEAST_WIDTH) for view in views]
    figure = Figure(
        figsize=(_INCHES * sum(widths) + 0.4, (_INCHES + 0.16) * len(samples) + 0.8), layout='constrained')
    grid = figure.subplots(len(samples), len(widths), squeeze=False, gridspec_kw=dict(width_ratios=widths))
    for row, sample in zip(grid, samples, strict=True):
        _draw_image(row[0], source, sample.sample_idx, ANCHOR if paired else PLAIN)
        if paired:
            _draw_image(row[1], source, sample.positive_idx, POSITIVE)
        for axes, view in zip(row[1 + paired:], sample.views, strict=True):
            _draw_view(axes, view)
    headings = ['anchor', 'positive'] if paired else ['image']
    for before, view in zip([None, *views], views, strict=False):  # one for the first column of each kind
        headings.append('' if before and before.role == view.role else _HEADINGS.get(view.role, view.role))
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.set_title(heading, fontsize=8, loc='left')
    figure.suptitle(title, fontsize=9, ha='left', x=0.01, parse_math=False)
    return figure


def _draw_image(axes: Axes, source: BaseDataset, image_id: int, color: str) -> None:
    axes.set(xticks=[], yticks=[])
    if image_id < 0:
        axes.axis('off')
        axes.text(0.5, 0.5, 'none:\nthe anchor\nitself', ha='center', va='center', fontsize=7, transform=axes.transAxes)
        return
    info = source.get_data_info(image_id)
    axes.imshow(mmcv.bgr2rgb(LoadImage()(dict(info))['img']))
    label, names = label_of(info), source.metainfo.get('classes') or ()
    name = '' if label is None else f' · {names[label] if label < len(names) else label}'
    axes.set_xlabel(f'#{image_id}{name}', fontsize=7, parse_math=False)
    axes.spines[:].set(color=color, linewidth=1.6)


def _draw_view(axes: Axes, view: FedView) -> None:
    axes.set(xticks=[], yticks=[])
    axes.imshow(view.image, interpolation='nearest')
    if view.box is not None:
        top, left, bottom, right = view.box
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec=POSITIVE, lw=1.6))
    axes.set_xlabel(f'{len(view.image)} px' + ('' if view.lam is None else f' · λ {view.lam:.2f}'), fontsize=7)
    axes.spines[:].set(color=_color_of(view.role), linewidth=1.6)


def _color_of(role: str) -> str:
    """The anchor's or the positive's, of a view that is of one of them."""
    return next((color for name, color in dict(anchor_=ANCHOR, positive_=POSITIVE).items() if role.startswith(name)),
                PLAIN)
