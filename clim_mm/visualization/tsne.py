"""t-SNE of the features of a few classes (paper Figure 3)."""

from collections.abc import Sequence
from typing import Optional

import numpy as np

from clim_mm.checks import check_whole
from clim_mm.errors import ConfigError
from clim_mm.picture_file import write_picture

MOST_CLASSES = 20  # that matplotlib's tab20 tells apart
_PERPLEXITY = 30.0  # scikit-learn's default; fewer images take less


def choose_images(labels: np.ndarray, num_classes: int = 10, per_class: int = 200, seed: int = 0,
                  class_seed: Optional[int] = None) -> np.ndarray:
    """Ids of some images of a few classes, in the order of the classes.

    Args:
        labels: (N,) int.
        num_classes: Classes at most; the paper shows 10.
        per_class: Images of each at most, drawn at random if there are more.
        seed: Of the draw.
        class_seed: Of a draw of the classes, which the paper makes; None for the first ones.

    Returns:
        (n,) int64.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    if class_seed is not None:
        classes = np.random.default_rng(class_seed).permutation(classes)
    chosen = [np.flatnonzero(labels == label) for label in np.sort(classes[:num_classes])]
    return np.concatenate([
        np.sort(rng.choice(ids, per_class, replace=False)) if len(ids) > per_class else ids for ids in chosen])


def draw_tsne(features: np.ndarray,
              labels: np.ndarray,
              classes: Sequence[str],
              path: str,
              title: str = '',
              seed: int = 0) -> None:
    """Draw the features in two dimensions, a colour for each class.

    Args:
        features: (n, d) float.
        labels: (n,) int.
        classes: Names by label.
        path: The picture to write; its ending gives the format.
        title: Above the picture.
        seed: Of t-SNE.

    Raises:
        ConfigError: If there are fewer than three images, or more than 20 classes.
    """
    check_number_of_images(len(features))
    check_whole('The number of classes of t-SNE', len(np.unique(labels)), least=1, most=MOST_CLASSES)
    # Imported by this picture alone: they take seconds.
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    places = TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(np.asarray(features))
    figure = Figure(figsize=(7, 6), layout='constrained')
    axes = figure.subplots()
    shown = np.unique(labels)
    color_of = colormaps['tab10' if len(shown) <= 10 else 'tab20']
    for number, label in enumerate(shown):
        of_class = labels == label
        x, y = places[of_class].T
        axes.scatter(x, y, s=9, color=color_of(number), label=classes[label], alpha=0.7, linewidths=0)
    axes.set(xticks=[], yticks=[], title=title)
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5), frameon=False, markerscale=2)
    write_picture(figure, path)


def check_number_of_images(number: int) -> None:
    """Check that there is something to show.

    Raises:
        ConfigError: If there are fewer than three images.
    """
    if number < 3:
        raise ConfigError(f't-SNE of {number} images shows nothing: give three or more.')
