"""The logistic probe on features that are worth something, and on some that are not."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from clim_mm.errors import ConfigError
from clim_mm.evaluation import probe_top1


def blobs(number, distance, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, number)
    return rng.normal(size=(number, 5)) * [1, 100, 1, 1, 1] + distance * np.eye(5)[labels + 2], labels


@pytest.mark.parametrize('classifier', ['logistic', 'svm'])
def test_classes_that_are_apart_are_told_apart(classifier):
    assert probe_top1(*blobs(300, 8.0, 0), *blobs(200, 8.0, 1), classifier=classifier) > 0.99
    chance = probe_top1(*blobs(300, 0.0, 0), *blobs(2000, 0.0, 1), classifier=classifier)
    assert chance == pytest.approx(1 / 3, abs=0.05)


def test_a_strong_penalty_flattens():
    few, many = blobs(60, 1.5, 0), blobs(2000, 1.5, 1)
    assert probe_top1(*few, *many, c=1e-9) < probe_top1(*few, *many, c=0.1)


@pytest.mark.parametrize('classifier', ['logistic', 'svm'])
def test_the_scale_of_a_feature_does_not_matter(classifier):
    (features, labels), (others, their_labels) = blobs(100, 3.0, 0), blobs(300, 3.0, 1)
    scales = np.array([1, 1, 1e-4, 1e-4, 1e-4])  # small where the classes are apart
    expected = probe_top1(features, labels, others, their_labels, classifier=classifier)
    found = probe_top1(features * scales, labels, others * scales, their_labels, classifier=classifier)
    assert found == pytest.approx(expected, abs=0.004) and expected > 0.8


def test_what_cannot_be_learned():
    features, labels = blobs(30, 1.0, 0)
    with pytest.raises(ConfigError, match='all of one class'):
        probe_top1(features, np.zeros(30, dtype=int), features, labels)
    with pytest.raises(ConfigError, match='above 0'):
        probe_top1(features, labels, features, labels, c=0.0)


def test_the_machine_is_a_linear_svm():
    (features, labels), (others, their_labels) = blobs(200, 1.5, 0), blobs(500, 1.5, 1)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    expected = LinearSVC(max_iter=1000).fit((features - mean) / spread, labels).score(
        (others - mean) / spread, their_labels)
    assert probe_top1(features, labels, others, their_labels, classifier='svm') == pytest.approx(expected, abs=0.004)
    assert probe_top1(features, labels, others, their_labels) != expected
