"""Whether a training is healthy, and why: plain functions of its figures."""

from .health import FIGURES, STATES, Best, Health, is_early, judge
from .refresh_health import judge_refresh

__all__ = ['FIGURES', 'STATES', 'Best', 'Health', 'is_early', 'judge', 'judge_refresh']
