"""The classifiers: votes worked out by hand, and a linear one."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from clim_mm.errors import ConfigError
from clim_mm.evaluation import knn_predict, knn_top1, probe_top1
from clim_mm.evaluation.measures import check_classes


def features_of(labels, rng, spread, dim=6):
    features = np.eye(dim)[labels] + spread * rng.normal(size=(len(labels), dim))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def top1_by_hand(train, train_labels, test, test_labels, k, temperature):
    right = 0
    for feature, label in zip(test, test_labels, strict=True):
        cosine = (train @ feature).astype(np.float64)
        votes = np.zeros(train_labels.max() + 1)
        for i in np.argsort(-cosine)[:k]:
            votes[train_labels[i]] += np.exp(cosine[i] / temperature)
        right += votes.argmax() == label
    return right / len(test)


@pytest.mark.parametrize('k', [1, 5, 20, 120])
@pytest.mark.parametrize('temperature', [0.07, 1.0])
def test_against_the_formula(k, temperature):
    rng = np.random.default_rng(k)
    labels, test_labels = rng.integers(0, 4, 120), rng.integers(0, 4, 60)
    train, test = features_of(labels, rng, 0.6), features_of(test_labels, rng, 0.6)
    expected = top1_by_hand(train, labels, test, test_labels, k, temperature)
    assert 0.2 < expected < 1
    assert knn_top1(train, labels, test, test_labels, k, temperature) == expected


def test_one_near_image_outvotes_two_far_ones_if_the_temperature_is_low():
    angles = np.array([0.1, 1.0, -1.0])
    train = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels, test = np.array([7, 3, 3]), np.array([[1.0, 0.0]])
    # Weights: e^(0.995 / t) against 2 e^(0.540 / t): the near one wins below t = 0.455 / ln 2 = 0.66.
    for temperature, winner in [(0.07, 7), (0.6, 7), (0.7, 3), (10.0, 3)]:
        assert knn_top1(train, labels, test, np.array([winner]), k=3, temperature=temperature) == 1.0
        assert knn_top1(train, labels, test, np.array([10 - winner]), k=3, temperature=temperature) == 0.0
    assert knn_top1(train, labels, test, np.array([7]), k=1, temperature=10.0) == 1.0


def test_the_defaults_are_twenty_voters_at_007():
    rng = np.random.default_rng(5)
    labels, test_labels = rng.integers(0, 6, 200), rng.integers(0, 6, 100)
    train, test = features_of(labels, rng, 0.7), features_of(test_labels, rng, 0.7)
    found = knn_top1(train, labels, test, test_labels)
    assert isinstance(found, float)
    assert found == top1_by_hand(train, labels, test, test_labels, 20, 0.07)


@pytest.mark.parametrize('k', [1, 7, 50])
def test_against_scikit_learn(k):
    rng = np.random.default_rng(k)
    labels = np.array([3, 5, 9, 12])[rng.integers(0, 4, 400)]
    train, test = rng.normal(size=(400, 12)) + labels[:, None] / 9, rng.normal(size=(300, 12)) + 0.8
    theirs = KNeighborsClassifier(k, metric='cosine', weights=lambda distance: np.exp((1 - distance) / 0.07))
    expected = theirs.fit(train, labels).predict(test)
    assert len(set(expected)) == 4
    np.testing.assert_array_equal(knn_predict(train, labels, test, k), expected)


def test_more_training_images_than_are_held_at_once():
    rng = np.random.default_rng(0)
    labels, test_labels = rng.integers(0, 5, 70_000), rng.integers(0, 5, 40)
    train, test = features_of(labels, rng, 0.5), features_of(test_labels, rng, 0.5)
    expected = KNeighborsClassifier(200, metric='cosine', weights=lambda distance: np.exp(-distance / 0.07))
    np.testing.assert_array_equal(knn_predict(train, labels, test, 200), expected.fit(train, labels).predict(test))
    ends = np.r_[-20:0, :20]  # voters of the last block, and of the first
    np.testing.assert_array_equal(knn_predict(train, labels, train[ends], 1), labels[ends])


@pytest.mark.parametrize('k, words', [(13, '13 nearest neighbours.*12'), (0, '0 nearest')])
def test_what_cannot_vote(k, words):
    features = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.raises(ConfigError, match=words):
        knn_predict(features, np.arange(12) % 2, features, k)


def blobs(number, distance, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, number)
    return rng.normal(size=(number, 5)) * [1, 100, 1, 1, 1] + distance * np.eye(5)[labels + 2], labels


@pytest.mark.parametrize('classifier', ['logistic', 'svm'])
def test_classes_that_are_apart_are_told_apart(classifier):
    assert probe_top1(*blobs(300, 8.0, 0), *blobs(200, 8.0, 1), classifier=classifier) > 0.99
    chance = probe_top1(*blobs(300, 0.0, 0), *blobs(2000, 0.0, 1), classifier=classifier)
    assert chance == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize('classifier', ['logistic', 'svm'])
def test_the_scale_of_a_feature_does_not_matter(classifier):
    (features, labels), (others, their_labels) = blobs(100, 3.0, 0), blobs(300, 3.0, 1)
    scales = np.array([1, 1, 1e-4, 1e-4, 1e-4])  # small where the classes are apart
    expected = probe_top1(features, labels, others, their_labels, classifier=classifier)
    found = probe_top1(features * scales, labels, others * scales, their_labels, classifier=classifier)
    assert found == pytest.approx(expected, abs=0.004) and expected > 0.8


def test_what_cannot_be_learned():
    with pytest.raises(ConfigError, match='all of one class'):
        check_classes(np.zeros(30, dtype=int))


def test_the_machine_is_a_linear_svm():
    (features, labels), (others, their_labels) = blobs(200, 1.5, 0), blobs(500, 1.5, 1)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    expected = LinearSVC(max_iter=1000).fit((features - mean) / spread, labels).score(
        (others - mean) / spread, their_labels)
    assert probe_top1(features, labels, others, their_labels, classifier='svm') == pytest.approx(expected, abs=0.004)
    assert probe_top1(features, labels, others, their_labels) != expected
