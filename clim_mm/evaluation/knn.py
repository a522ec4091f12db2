"""Weighted nearest-neighbour classification of frozen features."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier


def knn_top1(train_features: np.ndarray,
             train_labels: np.ndarray,
             test_features: np.ndarray,
             test_labels: np.ndarray,
             k: int = 20,
             temperature: float = 0.07) -> float:
    """Top-1 accuracy where the ``k`` nearest training features vote with weight ``exp(cosine / temperature)``.

    Weights and temperature are those of Wu et al., CVPR 2018, section 3.4.

    Args:
        train_features, test_features: (N, d) and (M, d) float.
        train_labels, test_labels: (N,) and (M,) int.
        k: Voters, at most N.
        temperature: Of the weights, above 0.

    Returns:
        From 0 to 1.
    """
    classifier = KNeighborsClassifier(
        n_neighbors=k, metric='cosine', weights=lambda distance: np.exp((1 - distance) / temperature))
    return float(classifier.fit(train_features, train_labels).score(test_features, test_labels))
