"""A picture of what the network is fed, a row for each sample."""

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmengine.dataset import BaseDataset, Compose

from .fed_views import FedSample, FedView

ANCHOR, POSITIVE, PLAIN = '#1f5fbf', '#e07b00', '#666666'  # told apart by people who do not see red and green too
_HEADINGS = dict(anchor_key='key of the anchor', positive_key='key of the positive')
_INCHES, _LEAST_WIDTH = 1.25, 0.6  # of the largest view's column; of the narrowest, as a share of it, for its text


def draw_views(samples: Sequence[FedSample],
               source: BaseDataset,
               title: str = '',
               load: Sequence = (dict(type='clim_mm.LoadImage'), )) -> Figure:
    """Draw the images of each sample, then the views that come of them.

    Blue is the anchor's, orange the positive's: a query has its pasted patch outlined in orange, and below it a bar
    that is blue up to ``lam``. Views of lower resolution are drawn smaller.

    All samples have as many views of the same sizes. ``load`` makes ``img``, (H, W, 3) uint8, BGR, of a data info.
    """
    views = samples[0].views
    paired = views[0].role != 'view'
    largest = max(len(view.image) for view in views)
    widths = [1.0] * (1 + paired) + [max(len(view.image) / largest, _LEAST_WIDTH) for view in views]
    figure = Figure(
        figsize=(_INCHES * sum(widths) + 0.4, (_INCHES + 0.16) * len(samples) + 0.8), layout='constrained')
    grid = figure.subplots(len(samples), len(widths), squeeze=False, gridspec_kw=dict(width_ratios=widths))
    read = Compose(load)
    for row, sample in zip(grid, samples, strict=True):
        _draw_image(row[0], source, read, sample.sample_idx, ANCHOR if paired else PLAIN)
        if paired:
            _draw_image(row[1], source, read, sample.positive_idx, POSITIVE)
        for axes, view in zip(row[1 + paired:], sample.views, strict=True):
            _draw_view(axes, view)
    for axes, heading in zip(grid[0], _headings(views, paired), strict=True):
        axes.set_title(heading, fontsize=8, loc='left')
    figure.suptitle(title, fontsize=9, ha='left', x=0.01, parse_math=False)
    return figure


def _headings(views: Sequence[FedView], paired: bool) -> list[str]:
    """One for the first column of each kind."""
    headings = ['anchor', 'positive'] if paired else ['image']
    for place, view in enumerate(views):
        first = place == 0 or views[place - 1].role != view.role
        headings.append(_HEADINGS.get(view.role, view.role) if first else '')
    return headings


def _draw_image(axes: Axes, source: BaseDataset, read: Compose, image_id: int, color: str) -> None:
    axes.set(xticks=[], yticks=[])
    if image_id < 0:
        axes.axis('off')
        axes.text(0.5, 0.5, 'none:\nthe anchor\nitself', ha='center', va='center', fontsize=7, transform=axes.transAxes)
        return
    info = source.get_data_info(image_id)
    axes.imshow(mmcv.bgr2rgb(read(dict(info))['img']))
    label = label_name(source, info)
    axes.set_xlabel(f'#{image_id}' + ('' if label is None else f' · {label}'), fontsize=7, parse_math=False)
    _frame(axes, color)


def _draw_view(axes: Axes, view: FedView) -> None:
    axes.set(xticks=[], yticks=[])
    side = len(view.image)
    axes.imshow(view.image, interpolation='nearest')
    text = f'{side} px'
    if view.lam is not None:
        text += f' · λ {view.lam:.2f}'
        _draw_share(axes, view)
    axes.set_xlabel(text, fontsize=7)
    _frame(axes, dict(anchor_key=ANCHOR, positive_key=POSITIVE).get(view.role, PLAIN))


def _draw_share(axes: Axes, view: FedView) -> None:
    """Outline what is the positive's, and draw the weights of the two keys as a bar."""
    assert view.lam is not None
    box = patch_box(view.share)
    if box is not None:
        top, left, bottom, right = box
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec=POSITIVE, lw=1.6))
    for start, length, color in [(0.0, view.lam, ANCHOR), (view.lam, 1 - view.lam, POSITIVE)]:
        axes.add_patch(Rectangle(
            (start, -0.06), length, 0.045, transform=axes.transAxes, clip_on=False, fc=color, ec='none'))
    axes.xaxis.labelpad = 8


def patch_box(share: Optional[np.ndarray]) -> Optional[tuple[int, int, int, int]]:
    """Top, left, bottom and right of what is wholly the positive's; None if nothing is, or the images are blended."""
    if share is None or not np.isin(share, (0, 1)).all() or not share.any():
        return None
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def label_name(source: BaseDataset, info: Mapping[str, Any]) -> Optional[str]:
    """The name of an image's label, or its number; None if it has none."""
    label = info.get('gt_label', -1)
    if not isinstance(label, (int, np.integer)) or label < 0:
        return None
    names = source.metainfo.get('classes') or ()
    return str(names[label]) if label < len(names) else str(label)


def _frame(axes: Axes, color: str) -> None:
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=1.6)
