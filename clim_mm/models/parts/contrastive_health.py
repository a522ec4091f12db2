"""Figures of a contrastive training step, and whether a training learns, by their means over an interval.

They do not show features that keep to a few directions, unless these are axes and the features were spread before, nor
batch statistics that give the positive away, which look like fast learning.
"""

import math
from collections.abc import Mapping
from typing import Optional

import torch

from clim_mm.health import COLLAPSING, HEALTHY, MOST, NOT_LEARNING, STARTING, Health, HealthRules

FIGURES = ('relative_nce', 'positive_similarity', 'negative_similarity', 'feature_std', 'queue_fill',
           'without_positive')  # what CLIM reports beside the loss
NOTHING_YET = dict(feature_std=0.0, relative_nce=math.inf)

_CALM = 'lower the learning rate or the weight decay, and look whether the images still differ after the transforms'

# The thresholds are [ours]. Measured with a ResNet-18 on the digits: sound runs, and runs that a learning rate of 2 or
# 10, a weight decay of 0.5 or a learning rate of 0 spoilt.
COLLAPSED_STD = 0.05  # a cosine of 1 - 0.05^2 = 0.9975 among queries. Measured: up to 0.03 if collapsed, else over 0.09
SAME_COSINE = 0.95  # an angle of 18 degrees. Measured: 0.95 and more if collapsed, else at most 0.79
AT_CHANCE = 0.98  # Measured: 1.00 at learning rate 0, at most 0.97 and soon 0.94 in sound runs
SHRUNK = 0.5  # of the highest feature std. Measured: 0.4 and less after a collapse, 0.8 and more in sound runs
WORSE = 0.03  # above the lowest loss relative to chance. Measured: 0.1 after a collapse, up to 0.02 in sound runs


@torch.no_grad()
def step_figures(q: torch.Tensor, anchor_keys: torch.Tensor, positive_keys: torch.Tensor, queue: torch.Tensor,
                 lam: torch.Tensor) -> dict[str, torch.Tensor]:
    """Figures of one step, at one resolution.

    Args:
        q, anchor_keys, positive_keys: (N, C), L2-normalised.
        queue: (C, K), L2-normalised.
        lam: (N,) weight of the anchor.

    Returns:
        Scalars. ``positive_similarity``: mean cosine of a query and its keys, weighted by lam.
        ``negative_similarity``: mean cosine of the queries and the queue. ``feature_std``: standard deviation of
        the queries over the batch, averaged over the dimensions, times sqrt(C): 1 if they are spread evenly over
        the sphere, 0 if they are all the same; NaN for one query [ours].
    """
    keys = lam[:, None] * anchor_keys + (1 - lam[:, None]) * positive_keys
    return dict(
        positive_similarity=(q * keys).sum(dim=1).mean(),
        negative_similarity=q.mean(dim=0) @ queue.to(q.dtype).mean(dim=1),  # the mean of all N x K products
        feature_std=q.std(dim=0).mean() * q.shape[1]**0.5)


def judge(figures: Mapping[str, float], early: bool = False, positives_due: bool = True,
          best: Optional[Mapping[str, float]] = None) -> Health:
    """Judge an interval of the training.

    Args:
        figures: ``relative_nce`` and what there is of the other ``FIGURES``, each the mean over an interval. Signs in
            figures that are missing or NaN are not looked for.
        early: Whether it is too early to call the run bad, see ``is_early``.
        positives_due: Whether a refresh should have given the images positives by now.
        best: What ``best_of`` kept of the run, when it was no longer early.
    """
    state, cause, signs, remedy = _fault(figures, {**NOTHING_YET, **(best or {})})
    shown = _shown(figures)
    if cause and not early:
        return Health(state, cause, f'{state.capitalize()}: {signs} ({shown}): {remedy}.')
    if positives_due and figures.get('without_positive', 0.0) > MOST:
        return Health(
            NOT_LEARNING, 'positives',
            f'Not learning from neighbours: {figures["without_positive"]:.0%} of the anchors have no positive '
            f'({shown}): see in neighbors.jsonl whether CenterWiseNeighborHook refreshes, and set fewer clusters or '
            'more neighbours.')
    if cause:
        return Health(STARTING, cause, f'Starting: {signs}, which is too early to judge ({shown}).')
    if figures.get('queue_fill', 1.0) < 1:
        return Health(STARTING, 'queue', f'Starting: the queue is {figures["queue_fill"]:.0%} full ({shown}).')
    return Health(HEALTHY, '', f'Healthy: {shown}.')


def best_of(best: Mapping[str, float], figures: Mapping[str, float]) -> dict[str, float]:
    """The highest ``feature_std`` and the lowest ``relative_nce`` so far; what is missing or NaN changes nothing."""
    before = {**NOTHING_YET, **best}
    return dict(
        feature_std=max(before['feature_std'], figures.get('feature_std', math.nan)),  # max and min keep the first
        relative_nce=min(before['relative_nce'], figures.get('relative_nce', math.nan)))  # beside a NaN


def _fault(figures: Mapping[str, float], best: Mapping[str, float]) -> tuple[str, str, str, str]:
    """State, cause, signs and remedy of what is wrong; empty if nothing is."""
    std = figures.get('feature_std', math.nan)
    if std < COLLAPSED_STD:
        return COLLAPSING, 'spread', 'the queries of a batch are nearly all the same', _CALM
    if figures.get('negative_similarity', math.nan) > SAME_COSINE:
        return COLLAPSING, 'cone', 'queries and the keys of other images are nearly the same', _CALM
    if std < SHRUNK * best['feature_std'] and figures['relative_nce'] > best['relative_nce'] + WORSE:
        signs = (f'the features have drawn together from a feature std of {best["feature_std"]:.2f}, and the loss has '
                 f'risen from {best["relative_nce"]:.2f} of chance')
        return COLLAPSING, 'shrinking', signs, _CALM
    if not figures['relative_nce'] < AT_CHANCE:  # so that NaN counts as not learning
        return (NOT_LEARNING, 'chance', 'positives are told from negatives hardly better than by chance',
                'look at the learning rate, at whether two views still show the same image, and at the temperature; on '
                'a small set lower model.momentum, as to 0.99')
    return '', '', '', ''


def _shown(figures: Mapping[str, float]) -> str:
    """The figures that are there, in words."""
    words = dict(
        relative_nce='loss {:.2f} of chance',
        positive_similarity='cosine {:.2f} to positives',
        negative_similarity='{:.2f} to negatives',
        feature_std='feature std {:.2f} of 1',
        queue_fill='queue {:.0%} full',
        without_positive='{:.0%} of the anchors without a positive')
    return ', '.join(text.format(figures[name]) for name, text in words.items()
                     if math.isfinite(figures.get(name, math.nan)))


CONTRASTIVE = HealthRules(FIGURES, judge, best_of)
