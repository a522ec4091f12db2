"""The images of a pretraining config as a classification task: training images and held-out ones, with labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from clim_mm.datasets import SingleViews, labels_of
from clim_mm.datasets.held_out import Listing, check_held_out, classes_of
from clim_mm.datasets.source import build_source, place_of
from clim_mm.errors import ConfigError, DataError, on_one_line

from .features import extract_settings


@dataclass(frozen=True)
class LabelledViews:
    """One deterministic view of each image, and the class of each.

    Attributes:
        views: N images.
        labels: (N,) int64.
        classes: Names of the classes, by label; their numbers where the dataset has no names.
    """

    views: SingleViews
    labels: np.ndarray
    classes: tuple[str, ...]


def train_and_held_out(cfg: Config, tell: Callable[[str], None] = print) -> tuple[LabelledViews, LabelledViews]:
    """The images that the config trains on, and those that its ``held_out`` names, each in the view of the refresh.

    Args:
        cfg: Of a pretraining, with ``extract``, which has the view's pipeline, and ``held_out``, the keys by which the
            dataset of the held-out images differs.
        tell: Takes a sentence on the premises that were checked.
    """
    if 'held_out' not in cfg:
        raise ConfigError('The config does not say which images are held out: give, for example, --cfg-options '
                          'held_out.data_prefix=val.')
    init_default_scope(cfg.default_scope)
    source = source_config(cfg)
    held_out = dict(source, **cfg.held_out)
    train, test = (labelled_views(cfg, dataset) for dataset in (source, held_out))
    tell(check_held_out(Listing.of(train.views.dataset), Listing.of(test.views.dataset),
                        f'held_out (now {place_of(held_out)})'))
    return train, test


def labelled_views(cfg: Config, source: dict) -> LabelledViews:
    """The images of a dataset, in the view of the config's refresh."""
    pipeline = extract_settings(cfg)['pipeline']
    try:
        dataset = build_source(source, *(['held_out'] if source != source_config(cfg) else []))
        views = SingleViews(dataset, pipeline)
    except (KeyError, TypeError) as error:  # of a class that there is not, or a setting that it does not have
        raise ConfigError(f'The images in {place_of(source)} cannot be read as {source.get("type")} through the '
                          f'pipeline of the refresh ({type(error).__name__}: {on_one_line(error)}): correct the '
                          'settings.') from error
    labels = labels_of(dataset)
    if labels is None:
        raise DataError(f'The images in {place_of(source)} have no labels, without which nothing can be measured: '
                        'give a dataset with labels, such as ClassFolder with a folder for each class.')
    return LabelledViews(views, labels, classes_of(dataset) or tuple(map(str, range(int(labels.max()) + 1))))


def source_config(cfg: Config) -> dict:
    """The config of the dataset that tells which images there are to train on."""
    dataset = cfg.train_dataloader.dataset
    return dict(dataset.get('dataset', dataset))
