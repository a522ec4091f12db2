"""MMEngine's visualizer without the figure that it would hold ready in every training."""

from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
from mmengine.visualization import Visualizer as EagerVisualizer

from clim_mm.registry import VISUALIZERS

_OF_THE_FIGURE = ('fig_save_canvas', 'fig_save', 'ax_save', 'dpi')


@VISUALIZERS.register_module()
class Visualizer(EagerVisualizer):
    """``mmengine.Visualizer`` that makes its figure when something is drawn: most trainings only log [ours].

    Importing matplotlib takes half a second to a second.

    Args:
        name: Of the instance.
        image: (H, W, 3) uint8, RGB, to draw on at once.
        *args, **kwargs: As for ``mmengine.Visualizer``.
    """

    def __init__(self, name: str = 'visualizer', image: Optional[np.ndarray] = None, *args: Any,
                 **kwargs: Any) -> None:
        super().__init__(name, None, *args, **kwargs)
        for attribute in _OF_THE_FIGURE:
            delattr(self, attribute)
        if image is not None:
            self.set_image(image)

    def _initialize_fig(self, fig_cfg: dict) -> tuple:
        """What ``__init__`` holds for the figure; it asks for the resolution alone."""
        return None, SimpleNamespace(get_dpi=lambda: None), None

    def __getattr__(self, name: str) -> Any:
        """The figure and its parts, when they are asked for first."""
        if name not in _OF_THE_FIGURE:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(self.fig_save_cfg)
        self.dpi = self.fig_save.get_dpi()
        return getattr(self, name)
