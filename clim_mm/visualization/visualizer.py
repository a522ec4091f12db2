"""MMEngine's visualizer, which makes its figure only when something is drawn."""

from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
from mmengine.visualization import Visualizer as EagerVisualizer

from clim_mm.registry import VISUALIZERS

_OF_THE_FIGURE = ('fig_save_canvas', 'fig_save', 'ax_save', 'dpi')


@VISUALIZERS.register_module()
class Visualizer(EagerVisualizer):
    """``mmengine.Visualizer`` with a lazy figure: importing matplotlib costs a training up to a second [ours]."""

    def __init__(self, name: str = 'visualizer', image: Optional[np.ndarray] = None, *args: Any,
                 **kwargs: Any) -> None:
        super().__init__(name, None, *args, **kwargs)
        for attribute in _OF_THE_FIGURE:
            delattr(self, attribute)
        if image is not None:
            self.set_image(image)

    def _initialize_fig(self, fig_cfg: dict) -> tuple:
        """A placeholder for ``__init__``, which only asks for the resolution."""
        return None, SimpleNamespace(get_dpi=lambda: None), None

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_THE_FIGURE:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(self.fig_save_cfg)
        self.dpi = self.fig_save.get_dpi()
        return getattr(self, name)
