"""Figures of frozen features: accuracy of simple classifiers, and how close classes and positives lie."""

from typing import Optional

import numpy as np

from clim_mm.errors import ConfigError
from clim_mm.neighbors import STRATEGIES
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.faiss_backend import ROWS_PER_BLOCK, as_float32_matrix, load_faiss, on_every_core, on_gpus
from clim_mm.neighbors.refresh import refresh

VOTERS, TEMPERATURE = 20, 0.07  # where nothing else is set; the temperature of Wu et al., CVPR 2018
CLASSIFIERS = ('logistic', 'svm')


@on_every_core
def knn_predict(train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, k: int = VOTERS,
                temperature: float = TEMPERATURE) -> np.ndarray:
    """(M,) classes for which the ``k`` nearest training features vote, with weights ``exp(cosine / temperature)``.

    The weights are those of Wu et al., CVPR 2018, section 3.4. Of classes with equal votes the smallest label wins.

    Args:
        train_features, test_features: (N, d) and (M, d) float, of any length but 0.
        train_labels: (N,) int.
    """
    check_voters(k, len(train_features))
    faiss = load_faiss()
    test = as_float32_matrix(unit_rows(test_features, np.float32))
    classes, votes_for = np.unique(train_labels, return_inverse=True)
    index = on_gpus(faiss.IndexFlatIP(test.shape[1]))
    nearest = faiss.ResultHeap(len(test), k, keep_max=True)
    # The training features are not copied as a whole: on ImageNet they are 10 GB.
    for start in range(0, len(train_features), ROWS_PER_BLOCK):
        voters = as_float32_matrix(unit_rows(train_features[start:start + ROWS_PER_BLOCK], np.float32))
        index.reset()
        index.add(voters)
        cosines, found = index.search(test, min(k, len(voters)))
        nearest.add_result(cosines, found + start)
    nearest.finalize()
    weights = np.exp((nearest.D - 1.0) / temperature)  # the factor exp(1 / temperature) changes no winner
    scores = np.zeros((len(test), len(classes)))
    np.add.at(scores, (np.arange(len(test))[:, None], votes_for[nearest.I]), weights)
    return classes[scores.argmax(axis=1)]


def knn_top1(train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, test_labels: np.ndarray,
             k: int = VOTERS, temperature: float = TEMPERATURE) -> float:
    """Top-1 accuracy of :func:`knn_predict`, from 0 to 1."""
    predicted = knn_predict(train_features, train_labels, test_features, k, temperature)
    return float((predicted == test_labels).mean())


def check_voters(k: int, num_images: int) -> None:
    """Check that ``k`` of ``num_images`` can vote."""
    if not 1 <= k <= num_images:
        raise ConfigError(f'{k} nearest neighbours cannot vote among {num_images} training images: set another k.')


def probe_top1(train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, test_labels: np.ndarray,
               classifier: str = 'logistic') -> float:
    """Top-1 accuracy, from 0 to 1, of a linear classifier on standardised features.

    Not the paper's linear protocol, which trains on augmented views for 100 epochs.

    Args:
        train_features, test_features: (N, d) and (M, d) float.
        train_labels, test_labels: (N,) and (M,) int.
        classifier: 'logistic', a regression over all classes, or 'svm', one linear machine for each class against the
            rest, with the squared hinge loss.
    """
    # A training with kNN imports this module, and these take seconds.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    kind = dict(logistic=LogisticRegression, svm=LinearSVC)[classifier]
    probe = make_pipeline(StandardScaler(), kind(max_iter=1000))
    return float(probe.fit(train_features, train_labels).score(test_features, test_labels))


def check_classes(train_labels: np.ndarray) -> None:
    """Check that there are two classes."""
    if len(np.unique(train_labels)) < 2:
        raise ConfigError('The training images are all of one class: give images of two classes or more.')


def intra_class_similarity(features: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine over the pairs of different images of a class, averaged over the classes (paper appendix C).

    Args:
        features: (N, d) float, of any length but 0.
        labels: (N,) int. Classes of a single image have no pair, and do not count.
    """
    check_pairs(labels)
    unit = unit_rows(features)
    classes, class_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), unit.shape[1]))  # their squared lengths are the sums over all pairs
    np.add.at(sums, class_of, unit)
    paired = sizes > 1
    n = sizes[paired].astype(np.float64)
    return float((((sums[paired]**2).sum(axis=1) - n) / (n * (n - 1))).mean())


def check_pairs(labels: np.ndarray) -> None:
    """Check that there are pairs of images of a class."""
    if len(np.unique(labels)) == len(labels):
        raise ConfigError('No class has two images, so none has a similarity within: give more images of a class.')


def diagnose(embeddings: np.ndarray, sizes: NeighborSizes, num_positives: int = 10, seed: int = 0,
             labels: Optional[np.ndarray] = None) -> dict[str, float]:
    """What a refresh on the training images would find: figures that need no labels, and the purity of its positives.

    Args:
        embeddings: (N, d) float32, L2-normalised.
        labels: (N,) int. Without them there is no purity.

    Returns:
        The report of :class:`clim_mm.neighbors.refresh.Refresh`, but for the seconds, with ``purity_<strategy>`` for
        all strategies.
    """
    found = refresh(embeddings, sizes, num_positives, seed=seed, labels=labels, compare=STRATEGIES)
    return {name: value for name, value in found.report.items() if not name.startswith('seconds_')}


def unit_rows(features: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Each row at length 1, as ``dtype``."""
    rows: np.ndarray = np.asarray(features, dtype=dtype)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError('A feature is 0 or not finite, and has no direction.')
    return rows / lengths
