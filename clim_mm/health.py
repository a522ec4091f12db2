"""Verdicts on a training, and when it is too early for one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

STATES = STARTING, HEALTHY, COLLAPSING, NOT_LEARNING = 'starting', 'healthy', 'collapsing', 'not learning'
MOST = 0.5  # of images or anchors: more than half

# Until then a run is not called bad: at first the features draw together and the loss lies at chance, also in runs that
# end well [ours]. A share of the schedule, and bounds in iterations: the digits took 250.
EARLY_SHARE, EARLY_LEAST, EARLY_MOST = 0.05, 300, 5000


@dataclass(frozen=True)
class Health:
    """A verdict."""

    state: str  # one of STATES
    cause: str  # a word for what is wrong, or '' if nothing is
    reason: str  # one sentence: the state, why, and what to try if something is wrong

    @property
    def is_bad(self) -> bool:
        """Whether a person should act."""
        return self.state in (COLLAPSING, NOT_LEARNING)


@dataclass(frozen=True)
class HealthRules:
    """How a method's training is judged by what its ``loss`` returns; a model has them as ``health_rules``.

    Attributes:
        figures: Names, of which the first must be there.
        judge: A verdict on ``figures`` (means over an interval), ``early``, ``positives_due`` and ``best``.
        best: From the best so far (empty at first) and figures to the best, which later verdicts are given.
    """

    figures: tuple[str, ...]
    judge: Callable[[Mapping[str, float], bool, bool, Mapping[str, float]], Health]
    best: Callable[[Mapping[str, float], Mapping[str, float]], dict[str, float]]


def is_early(iteration: int, max_iters: int) -> bool:
    """Whether ``iteration`` (steps done) of ``max_iters`` is too early to call a run bad."""
    return iteration < max(EARLY_LEAST, min(EARLY_MOST, EARLY_SHARE * max_iters))
