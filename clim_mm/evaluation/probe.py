"""A linear classifier of scikit-learn's on frozen features, for quick looks."""

import numpy as np

from clim_mm.checks import check_choice
from clim_mm.errors import ConfigError

CLASSIFIERS = ('logistic', 'svm')


def probe_top1(train_features: np.ndarray,
               train_labels: np.ndarray,
               test_features: np.ndarray,
               test_labels: np.ndarray,
               classifier: str = 'logistic',
               c: float = 1.0,
               max_iter: int = 1000) -> float:
    """Top-1 accuracy of a linear classifier on standardised features.

    Not the paper's linear protocol, which trains on augmented views for 100 epochs.

    Args:
        train_features, test_features: (N, d) and (M, d) float.
        train_labels, test_labels: (N,) and (M,) int.
        classifier: 'logistic', a regression over all classes, or 'svm', one linear machine for each class against the
            rest, with the squared hinge loss.
        c: Inverse strength of the L2 penalty, above 0.
        max_iter: Iterations of the solver at most.

    Returns:
        From 0 to 1.

    Raises:
        ConfigError: If the training images have one class alone, ``c`` is not above 0, or there is no such classifier.
    """
    check_choice('The probe', classifier, CLASSIFIERS)
    if not c > 0:
        raise ConfigError(f'The inverse strength of the penalty must be above 0, not {c}.')
    check_classes(train_labels)
    # Imported by the probe alone: they take seconds, and a training with kNN imports this module.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    kind = LinearSVC if classifier == 'svm' else LogisticRegression
    probe = make_pipeline(StandardScaler(), kind(C=c, max_iter=max_iter))
    return float(probe.fit(train_features, train_labels).score(test_features, test_labels))


def check_classes(train_labels: np.ndarray) -> None:
    """Check that there is something to tell apart.

    Raises:
        ConfigError: If all images are of one class.
    """
    if len(np.unique(train_labels)) < 2:
        raise ConfigError('The training images are all of one class, and there is nothing to tell apart: give images '
                          'of two classes or more.')
