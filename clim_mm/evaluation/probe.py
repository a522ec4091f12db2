"""A logistic regression on frozen features, for quick looks."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clim_mm.errors import ConfigError


def probe_top1(train_features: np.ndarray,
               train_labels: np.ndarray,
               test_features: np.ndarray,
               test_labels: np.ndarray,
               c: float = 1.0,
               max_iter: int = 1000) -> float:
    """Top-1 accuracy of scikit-learn's logistic regression on standardised features.

    Not the paper's linear protocol, which trains on augmented views for 100 epochs.

    Args:
        train_features, test_features: (N, d) and (M, d) float.
        train_labels, test_labels: (N,) and (M,) int.
        c: Inverse strength of the L2 penalty, above 0.
        max_iter: Iterations of the solver at most.

    Returns:
        From 0 to 1.

    Raises:
        ConfigError: If the training images have one class alone, or ``c`` is not above 0.
    """
    if not c > 0:
        raise ConfigError(f'The inverse strength of the penalty must be above 0, not {c}.')
    if len(np.unique(train_labels)) < 2:
        raise ConfigError('The training images are all of one class, and there is nothing to tell apart: give images '
                          'of two classes or more.')
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=max_iter))
    return float(probe.fit(train_features, train_labels).score(test_features, test_labels))
