"""When the learning rate changes."""

from dataclasses import dataclass
from typing import Any, Optional

from mmengine.optim.scheduler import CosineAnnealingParamScheduler, MultiStepParamScheduler, StepParamScheduler


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule, in epochs or, if not ``by_epoch``, in iterations.

    Attributes:
        name: Of its class.
        by_epoch: See above.
        begin, end: When it is in force.
        cosine_ends: When its cosine is at its lowest; None for other schedules.
        milestones: When it lowers the rate; of a ``StepLR`` only the first time.
    """

    name: str
    by_epoch: bool
    begin: int
    end: int
    cosine_ends: Optional[int] = None
    milestones: tuple[int, ...] = ()


def schedules_of(schedulers: Any) -> tuple[Schedule, ...]:
    """Those of the learning rate among a Runner's ``param_schedulers``, once they are built."""
    if isinstance(schedulers, dict):  # by optimizer
        schedulers = [scheduler for part in schedulers.values() for scheduler in part]
    return tuple(_schedule(scheduler) for scheduler in schedulers or () if scheduler.param_name == 'lr')


def _schedule(scheduler: Any) -> Schedule:
    cosine_ends: Optional[int] = None
    milestones: tuple[int, ...] = ()
    if isinstance(scheduler, CosineAnnealingParamScheduler):
        cosine_ends = scheduler.begin + scheduler.T_max
    elif isinstance(scheduler, MultiStepParamScheduler):
        milestones = tuple(sorted(scheduler.begin + milestone for milestone in scheduler.milestones))
    elif isinstance(scheduler, StepParamScheduler):
        milestones = (scheduler.begin + scheduler.step_size, )
    return Schedule(
        type(scheduler).__name__, scheduler.by_epoch, scheduler.begin, scheduler.end, cosine_ends, milestones)
