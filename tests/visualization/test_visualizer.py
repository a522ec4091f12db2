"""The figure of a training's visualizer: not there until something is drawn, then MMEngine's own."""

import copy

import mmengine.visualization
import numpy as np
import pytest
from mmengine.registry import VISUALIZERS, DefaultScope

from clim_mm.visualization import Visualizer

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
PARTS = {'fig_save', 'fig_save_canvas', 'ax_save', 'dpi'}


def drawn(visualizer):
    visualizer.draw_bboxes(np.array([[4, 5, 20, 18]]), edge_colors='r')
    return visualizer.get_image()


def test_a_training_that_logs_has_no_figure(tmp_path):
    backends = [dict(type='LocalVisBackend', save_dir=str(tmp_path))]
    with DefaultScope.overwrite_default_scope('clim_mm'):
        visualizer = VISUALIZERS.build(dict(type='Visualizer', name='logs', vis_backends=backends))
    assert type(visualizer) is Visualizer
    assert mmengine.visualization.Visualizer.get_current_instance() is visualizer, 'the framework finds it'
    visualizer.add_scalar('loss', 2.5, step=3)
    assert (tmp_path / 'scalars.json').read_text() == '{"loss": 2.5, "step": 3}\n'
    assert not PARTS & vars(visualizer).keys()


@pytest.mark.parametrize('options', [{}, dict(fig_save_cfg=dict(frameon=False, dpi=50))])
def test_it_draws_what_the_frameworks_own_draws(options):
    expected = drawn(mmengine.visualization.Visualizer(image=IMAGE, **options))
    np.testing.assert_array_equal(drawn(Visualizer(image=IMAGE, **options)), expected)
    later = Visualizer(**options)
    later.set_image(IMAGE)
    np.testing.assert_array_equal(drawn(later), expected)
    assert expected.shape == (24, 30, 3) and (expected != IMAGE).any() and PARTS <= vars(later).keys()


def test_other_attributes_are_missing_as_ever():
    visualizer = copy.copy(Visualizer())
    assert not PARTS & vars(visualizer).keys()
    with pytest.raises(AttributeError, match="'Visualizer' object has no attribute 'figure'"):
        visualizer.figure  # noqa: B018
