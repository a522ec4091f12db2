"""Classifiers of frozen features: weighted nearest neighbours, and a linear one of scikit-learn's for quick looks."""

import numpy as np

from clim_mm.checks import check_choice
from clim_mm.errors import ConfigError
from clim_mm.neighbors.faiss_backend import ROWS_PER_BLOCK, as_float32_matrix, load_faiss, on_every_core, on_gpus

from .representation import unit_rows

VOTERS, TEMPERATURE = 20, 0.07  # where nothing else is set; the temperature of Wu et al., CVPR 2018
CLASSIFIERS = ('logistic', 'svm')
_QUERIES_PER_BLOCK = 16384


@on_every_core
def knn_predict(train_features: np.ndarray,
                train_labels: np.ndarray,
                test_features: np.ndarray,
                k: int = VOTERS,
                temperature: float = TEMPERATURE) -> np.ndarray:
    """The class for which the ``k`` nearest training features vote, each with weight ``exp(cosine / temperature)``.

    The weights are those of Wu et al., CVPR 2018, section 3.4.

    Args:
        train_features, test_features: (N, d) and (M, d) float, of any length but 0.
        train_labels: (N,) int.
        k: Voters, at most N.
        temperature: Of the weights, above 0.

    Returns:
        (M,) labels; of classes with equal votes the one with the smallest label.
    """
    check_voters(k, len(train_features))
    if not temperature > 0:
        raise ConfigError(f'The temperature of the votes must be above 0, not {temperature}.')
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
    winners = np.empty(len(test), dtype=np.int64)
    for start in range(0, len(test), _QUERIES_PER_BLOCK):
        block = slice(start, start + _QUERIES_PER_BLOCK)
        weights = np.exp((nearest.D[block] - 1.0) / temperature)  # the factor exp(1 / temperature) changes no winner
        scores = np.zeros((len(weights), len(classes)))
        np.add.at(scores, (np.arange(len(weights))[:, None], votes_for[nearest.I[block]]), weights)
        winners[block] = scores.argmax(axis=1)
    return classes[winners]


def knn_top1(train_features: np.ndarray,
             train_labels: np.ndarray,
             test_features: np.ndarray,
             test_labels: np.ndarray,
             k: int = VOTERS,
             temperature: float = TEMPERATURE) -> float:
    """Top-1 accuracy of :func:`knn_predict`, from 0 to 1."""
    predicted = knn_predict(train_features, train_labels, test_features, k, temperature)
    return float((predicted == test_labels).mean())


def check_voters(k: int, num_images: int) -> None:
    """Check that ``k`` of ``num_images`` can vote."""
    if not 1 <= k <= num_images:
        raise ConfigError(f'{k} nearest neighbours cannot vote among {num_images} training images: let k be from 1 to '
                          f'{num_images}.')


def probe_top1(train_features: np.ndarray,
               train_labels: np.ndarray,
               test_features: np.ndarray,
               test_labels: np.ndarray,
               classifier: str = 'logistic') -> float:
    """Top-1 accuracy of a linear classifier on standardised features.

    Not the paper's linear protocol, which trains on augmented views for 100 epochs.

    Args:
        train_features, test_features: (N, d) and (M, d) float.
        train_labels, test_labels: (N,) and (M,) int.
        classifier: 'logistic', a regression over all classes, or 'svm', one linear machine for each class against the
            rest, with the squared hinge loss.

    Returns:
        From 0 to 1.
    """
    check_choice('The probe', classifier, CLASSIFIERS)
    check_classes(train_labels)
    # Here, since they take seconds, and a training with kNN imports this module.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    kind = LinearSVC if classifier == 'svm' else LogisticRegression
    probe = make_pipeline(StandardScaler(), kind(max_iter=1000))
    return float(probe.fit(train_features, train_labels).score(test_features, test_labels))


def check_classes(train_labels: np.ndarray) -> None:
    """Check that there are two classes."""
    if len(np.unique(train_labels)) < 2:
        raise ConfigError('The training images are all of one class, and there is nothing to tell apart: give images '
                          'of two classes or more.')
