"""Small features for the tests of figures."""

import numpy as np

ANGLES = np.deg2rad([0, 60, 90, 180])
ON_A_CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def random_features(number=50, dim=7):
    return np.random.default_rng(number).normal(size=(number, dim)).astype(np.float32)


def unit(features):
    features = features.astype(np.float64)
    return features / np.sqrt((features**2).sum(axis=1))[:, None]
