"""What the evaluations of frozen features share: the images, and their features and clusters by a checkpoint."""

from collections.abc import Collection
from functools import cached_property
from typing import Any, Optional

import numpy as np
from mmengine.config import Config

from clim_mm.datasets import SingleViews
from clim_mm.neighbors.defaults import default_num_positives, neighbor_sizes

from .clusterings import KMEANS, Clustering, cluster_figures, clustering_by_kmeans, clustering_of_head
from .features import (
    extract_settings,
    frozen_features,
    load_model,
    soft_assignments,
    train_and_held_out,
    train_views,
)
from .measures import diagnose
from .superclasses import read_superclasses

# Encoder and layer of the features that the commands take.
POOLED, EMBEDDINGS = ('query', 'pooled'), ('momentum', 'embedding')


class FrozenTask:
    """Training images of a config, with labels or without, and the features that a checkpoint's network gives them.

    Args:
        cfg: The config that the checkpoint was pretrained with.
        checkpoint: Its path; None leaves the network as it is initialised.
        reads: Encoder and layer of each kind of features that will be asked for: what they need must be in the file.
        assigns: Whether assignments to clusters will be asked for.

    Attributes:
        premises: What was checked, a sentence each.
    """

    def __init__(self, cfg: Config, checkpoint: Optional[str], reads: Collection[tuple[str, str]] = (POOLED, ),
                 assigns: bool = False) -> None:
        self.cfg = cfg
        self.premises: list[str] = []
        self.views = self.find_images()
        self.model: Any = load_model(cfg, checkpoint, reads, self.premises.append, assigns)

    def find_images(self) -> SingleViews:
        """The training images."""
        return train_views(self.cfg)

    def features(self, views: SingleViews, **options: str) -> np.ndarray:
        """(N, d) float32; pooled features of the query encoder, if nothing else is said."""
        found = frozen_features(self.model, views, extract_settings(self.cfg), **options)
        assert found is not None, 'an evaluation is one process'
        return found

    def diagnose(self, labels: Optional[np.ndarray] = None) -> dict[str, float]:
        """What a refresh would find by embeddings of the momentum encoder; with (N,) int labels also its purity."""
        encoder, layer = EMBEDDINGS
        num_images = len(self.views)
        sizes = neighbor_sizes(num_images)  # refused before the features are taken, if there are too few images
        embeddings = self.features(self.views, encoder=encoder, layer=layer)
        return diagnose(embeddings, sizes, default_num_positives(num_images), labels=labels)


class LabelledTask(FrozenTask):
    """:class:`FrozenTask` of labelled images, and of held-out ones: features and clusters, computed when first asked.

    Attributes:
        train, test: The images that the config trains on, and those that it holds out.
        sought: Names of the classes that clusters are measured against: the images', or their super-classes.
        of_class: (classes,) int64, their numbers by the images' labels.
    """

    def __init__(self, cfg: Config, checkpoint: Optional[str], reads: Collection[tuple[str, str]] = (POOLED, ),
                 assigns: bool = False) -> None:
        super().__init__(cfg, checkpoint, reads, assigns)
        self.of_class, self.sought = np.arange(len(self.train.classes)), self.train.classes
        if assigns and 'superclasses' in cfg:
            self.of_class, self.sought = read_superclasses(cfg.superclasses, self.train.classes)
            self.premises.append(f'Clusters are measured against the {len(self.sought)} super-classes of '
                                 f'{cfg.superclasses}.')

    def find_images(self) -> SingleViews:
        """The training images, beside the others."""
        self.train, self.test = train_and_held_out(self.cfg, self.premises.append)
        return self.train.views

    @cached_property
    def train_features(self) -> np.ndarray:
        """Pooled, of the training images."""
        return self.features(self.train.views)

    @cached_property
    def test_features(self) -> np.ndarray:
        """Pooled, of the held-out images."""
        return self.features(self.test.views)

    @cached_property
    def assignments(self) -> dict[str, np.ndarray]:
        """Of the held-out images, by the name of the cluster head."""
        return soft_assignments(self.model, self.test.views, extract_settings(self.cfg))

    @cached_property
    def clusterings(self) -> dict[str, Clustering]:
        """Of the held-out images, by name: that of k-means, then those of the heads."""
        by_kmeans = clustering_by_kmeans(self.train_features, self.test_features, len(self.sought))
        return {KMEANS: by_kmeans, **{name: clustering_of_head(soft) for name, soft in self.assignments.items()}}

    @property
    def sought_labels(self) -> np.ndarray:
        """Of the held-out images, by the classes that clusters are measured against."""
        return self.of_class[self.test.labels]

    def cluster_figures(self) -> dict[str, float]:
        """Of k-means and the heads against these classes."""
        return cluster_figures(self.sought_labels, len(self.sought), self.clusterings, self.assignments)

    def train_and_test(self) -> tuple[np.ndarray, ...]:
        """Features and labels of the training images, then of the others."""
        return self.train_features, self.train.labels, self.test_features, self.test.labels
