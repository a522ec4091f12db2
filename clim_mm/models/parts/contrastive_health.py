"""Whether a contrastive training learns, from the figures of its steps.

Two things are not told, since these figures do not show them: features that keep to a few directions, unless these are
axes and the features were spread before; and batch statistics that give the positive away, which look like fast
learning.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from clim_mm.health import COLLAPSING, HEALTHY, MOST, NOT_LEARNING, STARTING, Health, HealthRules

FIGURES = ('relative_nce', 'positive_similarity', 'negative_similarity', 'feature_std', 'queue_fill',
           'without_positive')  # what CLIM reports beside the loss
NOTHING_YET = dict(feature_std=0.0, relative_nce=math.inf)

# The thresholds are [ours]. Measured with a ResNet-18 on the digits: sound runs, and runs that a learning rate of 2 or
# 10, a weight decay of 0.5 or a learning rate of 0 spoilt.
COLLAPSED_STD = 0.05  # a cosine of 1 - 0.05^2 = 0.9975 among queries. Measured: up to 0.03 if collapsed, else over 0.09
SAME_COSINE = 0.95  # an angle of 18 degrees. Measured: 0.95 and more if collapsed, else at most 0.79
AT_CHANCE = 0.98  # Measured: 1.00 at learning rate 0, at most 0.97 and soon 0.94 in sound runs
SHRUNK = 0.5  # of the highest feature std. Measured: 0.4 and less after a collapse, 0.8 and more in sound runs
WORSE = 0.03  # above the lowest loss relative to chance. Measured: 0.1 after a collapse, up to 0.02 in sound runs


def best_of(best: Mapping[str, float], figures: Mapping[str, float]) -> dict[str, float]:
    """The highest ``feature_std`` and the lowest ``relative_nce`` so far; what is missing or NaN changes nothing."""
    before = {**NOTHING_YET, **best}
    return dict(
        feature_std=max(before['feature_std'], figures.get('feature_std', math.nan)),  # max and min keep the first
        relative_nce=min(before['relative_nce'], figures.get('relative_nce', math.nan)))  # beside a NaN


@dataclass(frozen=True)
class _Fault:
    """What is wrong: the state and cause that it means, the signs of it, and what to try."""

    state: str
    cause: str
    signs: str
    remedy: str


def judge(figures: Mapping[str, float], early: bool = False, positives_due: bool = True,
          best: Optional[Mapping[str, float]] = None) -> Health:
    """Judge an interval of the training.

    Args:
        figures: ``relative_nce`` and what there is of the other ``FIGURES``, each the mean over an interval. A sign
            that needs another figure is not looked for where that is missing or NaN.
        early: Whether it is too early to call the run bad, see ``is_early``.
        positives_due: Whether a refresh should have given the images positives by now.
        best: What ``best_of`` kept of the run, when it was no longer early.
    """
    fault = _collapse(figures, {**NOTHING_YET, **(best or {})}) or _chance(figures)
    shown = _shown(figures)
    if fault and not early:
        return Health(fault.state, fault.cause, f'{fault.state.capitalize()}: {fault.signs} ({shown}): {fault.remedy}.')
    if positives_due and figures.get('without_positive', 0.0) > MOST:
        return Health(
            NOT_LEARNING, 'positives',
            f'Not learning from neighbours: {figures["without_positive"]:.0%} of the anchors have no positive, and are '
            f'trained as by plain MoCo ({shown}): see in neighbors.jsonl whether CenterWiseNeighborHook refreshes, and '
            'set fewer clusters or more neighbours.')
    if fault:
        return Health(STARTING, fault.cause, f'Starting: {fault.signs}, which is too early to judge ({shown}).')
    if figures.get('queue_fill', 1.0) < 1:
        return Health(STARTING, 'queue', f'Starting: the queue is {figures["queue_fill"]:.0%} full ({shown}).')
    return Health(HEALTHY, '', f'Healthy: {shown}.')


def _collapse(figures: Mapping[str, float], best: Mapping[str, float]) -> Optional[_Fault]:
    """Signs that the features become one."""
    std = figures.get('feature_std', math.nan)
    remedy = ('lower the learning rate or the weight decay, and look whether the images still differ after the '
              'transforms')
    if std < COLLAPSED_STD:
        return _Fault(COLLAPSING, 'spread', 'the queries of a batch are nearly all the same', remedy)
    if figures.get('negative_similarity', math.nan) > SAME_COSINE:
        return _Fault(COLLAPSING, 'cone', 'queries and the keys of other images are nearly the same', remedy)
    if std < SHRUNK * best['feature_std'] and figures['relative_nce'] > best['relative_nce'] + WORSE:
        signs = (f'the features have drawn together from a feature std of {best["feature_std"]:.2f}, and the loss has '
                 f'risen from {best["relative_nce"]:.2f} of chance')
        return _Fault(COLLAPSING, 'shrinking', signs, remedy)
    return None


def _chance(figures: Mapping[str, float]) -> Optional[_Fault]:
    """Signs that positives are not told from negatives."""
    if not figures['relative_nce'] < AT_CHANCE:  # so that NaN counts as not learning
        return _Fault(
            NOT_LEARNING, 'chance', 'positives are told from negatives hardly better than by chance',
            'look at the learning rate, at whether two views still show the same image, and at the temperature; on a '
            'small set lower model.momentum, as to 0.99')
    return None


def _shown(figures: Mapping[str, float]) -> str:
    """The figures that are there, in words."""
    words = dict(
        relative_nce='loss {:.2f} of chance',
        positive_similarity='cosine {:.2f} to positives',
        negative_similarity='{:.2f} to negatives',
        feature_std='feature std {:.2f} of 1',
        queue_fill='queue {:.0%} full',
        without_positive='{:.0%} of the anchors without a positive')
    there = {name: text for name, text in words.items() if math.isfinite(figures.get(name, math.nan))}
    return ', '.join(text.format(figures[name]) for name, text in there.items())


CONTRASTIVE = HealthRules(FIGURES, judge, best_of)
