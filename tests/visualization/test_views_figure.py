"""The picture of what the network is fed: what is written, outlined and framed."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from clim_mm.registry import DATASETS
from clim_mm.visualization.fed_views import FedSample, FedView
from clim_mm.visualization.views_figure import ANCHOR, PLAIN, POSITIVE, draw_views, patch_box


@pytest.fixture
def source(tmp_path):
    for name in ('a$x$', 'b'):
        (tmp_path / name).mkdir()
        Image.new('RGB', (30, 20), (9, 99, 199)).save(tmp_path / name / '0.png')
    return DATASETS.build(dict(type='mmcls.CustomDataset', data_root=str(tmp_path)))


def pair(positive=1):
    share = np.zeros((16, 16), np.float32)
    share[4:10, 2:] = 1
    black = {side: np.zeros((side, side, 3), np.uint8) for side in (16, 12)}
    queries = [FedView(black[16], 'query', 0.67, share), FedView(black[12], 'query', 1.0, np.zeros((12, 12)))]
    return FedSample(0, positive, [*queries, *(FedView(black[side], role) for role in ('anchor_key', 'positive_key')
                                               for side in (16, 12))])


def rectangles(axes):
    return [patch for patch in axes.patches if patch.get_width() > 0]


def test_a_row_for_each_sample(source):
    figure = draw_views([pair(), pair(-1)], source, 'A $title$')
    first, second = figure.axes[:8], figure.axes[8:]
    assert [axes.get_title(loc='left') for axes in first] == [
        'anchor', 'positive', 'query', '', 'key of the anchor', '', 'key of the positive', '']
    assert [axes.get_xlabel() for axes in first] == [
        '#0 · a$x$', '#1 · b', '16 px · λ 0.67', '12 px · λ 1.00', '16 px', '12 px', '16 px', '12 px']
    frames = [to_hex(axes.spines['top'].get_edgecolor()) for axes in first]
    assert frames == [ANCHOR, POSITIVE, PLAIN, PLAIN, ANCHOR, ANCHOR, POSITIVE, POSITIVE]
    assert 'none' in second[1].texts[0].get_text() and not second[1].images
    figure.canvas.draw()  # with the dollar signs, which are no formulas here


def test_the_patch_and_the_bar(source):
    mixed, whole = draw_views([pair()], source).axes[2:4]
    patch, anchors, positives = rectangles(mixed)
    assert patch.get_bbox().extents.tolist() == [1.5, 3.5, 15.5, 9.5] and to_hex(patch.get_edgecolor()) == POSITIVE
    assert (anchors.get_x(), anchors.get_width(), to_hex(anchors.get_facecolor())) == (0, 0.67, ANCHOR)
    assert positives.get_x() == 0.67 and positives.get_width() == pytest.approx(0.33)
    bar, = rectangles(whole)
    assert bar.get_width() == 1 and to_hex(bar.get_facecolor()) == ANCHOR


def test_views_that_are_no_pairs(source):
    view = FedView(np.zeros((10, 10, 3), np.uint8), 'view')
    figure = draw_views([FedSample(1, -1, [view, view])], source)
    assert [axes.get_xlabel() for axes in figure.axes] == ['#1 · b', '10 px', '10 px']


def test_the_box_of_a_patch():
    share = np.zeros((6, 8))
    assert patch_box(share) is None and patch_box(None) is None
    share[1:3, 4:8] = 1
    assert patch_box(share) == (1, 4, 3, 8)
    assert patch_box(np.full((6, 8), 0.5)) is None
    assert patch_box(np.ones((6, 8))) == (0, 0, 6, 8)
