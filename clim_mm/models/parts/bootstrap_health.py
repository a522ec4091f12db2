"""Figures of a bootstrapping step, and whether a training learns, by their means over an interval.

They do not show features that tell little of the images while batch normalisation keeps the projections apart.
"""

import math
from collections.abc import Mapping
from typing import Optional

import torch

from clim_mm.health import COLLAPSING, HEALTHY, NOT_LEARNING, STARTING, Health, HealthRules

FIGURES = ('prediction_similarity', 'feature_std')  # what BYOL reports beside the loss

# The thresholds are [ours]. Measured with a slim ResNet-18 on the digits: sound runs, and runs that a learning rate of
# 10 or 0, or a weight decay of 0.5, spoilt.
COLLAPSED_STD = 0.25  # a cosine of 0.94. Measured: 0 by weight decay, 0.24 by a high rate before it fell, else over 0.5
UNPREDICTED = 0.2  # Measured: 0.0 at learning rate 0, 0.43 and more in sound runs from the first epoch on

Fault = tuple[str, str, str, str]  # state, cause, signs, remedy


@torch.no_grad()
def bootstrap_figures(projections: torch.Tensor, predictions: torch.Tensor,
                      targets: torch.Tensor) -> dict[str, torch.Tensor]:
    """Figures of one step, of (N, C) L2-normalised rows.

    Returns:
        Scalars. ``prediction_similarity``: mean cosine of a prediction and its target. ``feature_std``: standard
        deviation of the projections over the batch, averaged over the dimensions, times sqrt(C): 1 if they are spread
        evenly over the sphere, 0 if they are all the same; NaN for one image [ours].
    """
    return dict(
        prediction_similarity=(predictions * targets).sum(dim=1).mean(),
        feature_std=projections.std(dim=0).mean() * projections.shape[1]**0.5)


def bootstrap_fault(figures: Mapping[str, float]) -> Optional[Fault]:
    """What is wrong with the bootstrapping; None if nothing is."""
    if figures.get('feature_std', math.nan) < COLLAPSED_STD:
        return (COLLAPSING, 'spread', 'the projections of a batch are nearly all the same',
                'lower the learning rate or the weight decay, or raise model.momentum')
    if not figures['prediction_similarity'] > UNPREDICTED:  # so that NaN counts as not learning
        return (NOT_LEARNING, 'prediction', 'the predictions are hardly nearer to their targets than by chance',
                'look at the learning rate, and at whether two views still show the same image')
    return None


def bootstrap_shown(figures: Mapping[str, float]) -> list[str]:
    """The figures that are there, in words."""
    words = dict(prediction_similarity='cosine {:.2f} of predictions to targets', feature_std='feature std {:.2f} of 1')
    return [text.format(figures[name]) for name, text in words.items() if math.isfinite(figures.get(name, math.nan))]


def verdict(fault: Optional[Fault], shown: str, early: bool) -> Health:
    """A fault in a sentence, or that there is none."""
    if fault is None:
        return Health(HEALTHY, '', f'Healthy: {shown}.')
    state, cause, signs, remedy = fault
    if early:
        return Health(STARTING, cause, f'Starting: {signs}, which is too early to judge ({shown}).')
    return Health(state, cause, f'{state.capitalize()}: {signs} ({shown}): {remedy}.')


def judge(figures: Mapping[str, float], early: bool = False, positives_due: bool = True,
          best: Optional[Mapping[str, float]] = None) -> Health:
    """Judge an interval of the training by ``FIGURES``."""
    return verdict(bootstrap_fault(figures), ', '.join(bootstrap_shown(figures)), early)


def nothing_kept(best: Mapping[str, float], figures: Mapping[str, float]) -> dict[str, float]:
    """No figure's best is needed."""
    return {}


BOOTSTRAP = HealthRules(FIGURES, judge, nothing_kept)
