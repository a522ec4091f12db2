"""The page of a report: the style and the pictures of all pages, with a script of its own."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

from mmengine.dataset import BaseDataset

from .page import MOST_BYTES, filled_template

_SIDE = 48  # of a thumbnail, in pixels [ours]


def report_page(data: dict[str, Any], source: BaseDataset, load: Sequence) -> str:
    """Return the page as HTML, with pictures of ``data['images']``, as ``clim_mm.report.report`` makes them."""
    files = resources.files(__package__)
    page, own = (files.joinpath(name).read_text(encoding='utf-8') for name in ('page.html', 'report.html'))
    head = page[:page.index('</style>')]  # the report's own style follows
    return filled_template(head + own, data, source, _SIDE, MOST_BYTES, load)
