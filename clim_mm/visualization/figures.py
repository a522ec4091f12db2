"""Figures of anchors beside their positives, and of features by t-SNE; their files; a training's visualizer.

matplotlib and scikit-learn are imported where they are used: trainings import this module, and draw nothing.
"""

import io
import os.path as osp
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.visualization import Visualizer as EagerVisualizer

from clim_mm.checkpoints import write_atomically
from clim_mm.checks import check_choice
from clim_mm.datasets import LoadImage
from clim_mm.registry import VISUALIZERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST_IMAGES, MOST_CLASSES = 3, 20  # of t-SNE; tab20 has 20 colours
_OF_THE_FIGURE = ('fig_save_canvas', 'fig_save', 'ax_save', 'dpi')


def check_picture(name: str, path: str) -> None:
    """Check before long work that the ending of ``path``, the value of setting ``name``, is png, pdf or svg."""
    check_choice(f'The ending of {name}', osp.splitext(path)[1][1:].lower(), ('png', 'pdf', 'svg'))


def write_picture(figure: 'Figure', path: str, dpi: int = 130) -> None:
    """Write a figure as a whole or not at all, in the format of the path's ending; its folder is made."""
    check_picture(path, path)
    file = io.BytesIO()
    figure.savefig(file, format=osp.splitext(path)[1][1:].lower(), dpi=dpi)
    write_atomically(path, file.getvalue())


def draw_positives(source: BaseDataset,
                   positives: np.ndarray,
                   anchors: Sequence[int],
                   path: str,
                   labels: Optional[np.ndarray] = None,
                   title: str = '') -> None:
    """Draw one row per anchor into the file ``path``: the anchor, then its positives.

    Args:
        positives: (N, P) int, -1 = none, drawn as a gap.
        labels: (N,) int; positives with the anchor's label get a green frame, others a red one.
    """
    from matplotlib.figure import Figure

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
            color = 'black'
            if labels is not None and place > 0:
                color = 'tab:green' if labels[image_id] == labels[anchor] else 'tab:red'
            axes.spines[:].set(color=color, linewidth=2.5)
    grid[0, 0].set_title('anchor', fontsize=9)
    grid[0, 1].set_title('positives', fontsize=9, loc='left')
    figure.suptitle(title, fontsize=10)
    write_picture(figure, path, dpi=110)


def choose_images(labels: np.ndarray, num_classes: int = 10, per_class: int = 200, seed: int = 0,
                  class_seed: Optional[int] = None) -> np.ndarray:
    """Choose the images that t-SNE shows: (n,) int64 ids, ordered by class.

    Args:
        labels: (N,) int.
        num_classes: At most; the paper shows 10.
        per_class: At most, drawn at random with ``seed``.
        class_seed: Draws the classes at random, as the paper does; None takes the first ones.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    if class_seed is not None:
        classes = np.random.default_rng(class_seed).permutation(classes)
    chosen = [np.flatnonzero(labels == label) for label in np.sort(classes[:num_classes])]
    return np.concatenate([
        np.sort(rng.choice(ids, per_class, replace=False)) if len(ids) > per_class else ids for ids in chosen])


def tsne_places(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, 2) places of (n, d) features by t-SNE, begun with their first two principal components."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)  # scikit-learn's default, or what few images admit
    places: np.ndarray = TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(np.asarray(features))
    return places


def draw_tsne(features: np.ndarray, labels: np.ndarray, classes: Sequence[str], path: str, title: str = '',
              seed: int = 0) -> None:
    """Draw (n, d) features in two dimensions by t-SNE, one colour per class, into the file ``path`` (paper Figure 3).

    Args:
        labels: (n,) int, of which ``classes`` has the names; at most ``MOST_CLASSES`` different ones.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    places = tsne_places(features, seed)
    figure = Figure(figsize=(7, 6), layout='constrained')
    axes = figure.subplots()
    shown = np.unique(labels)
    color_of = colormaps['tab10' if len(shown) <= 10 else 'tab20']
    for number, label in enumerate(shown):
        x, y = places[labels == label].T
        axes.scatter(x, y, s=9, color=color_of(number), label=classes[label], alpha=0.7, linewidths=0)
    axes.set(xticks=[], yticks=[], title=title)
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5), frameon=False, markerscale=2)
    write_picture(figure, path)


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
