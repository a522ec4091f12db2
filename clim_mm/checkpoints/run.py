"""What a run is, and how its checkpoints and records name it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.logging import MessageHub

RUN_ID = 'run_id'  # a field of records, and of MMEngine's message hub


@dataclass(frozen=True)
class Run:
    """A run, and its latest start. A resumed run is the same run, started once more.

    Attributes:
        id: Of the run; empty if none has begun in the folder yet.
        start: How many times it has been started.
        iter: Iterations of the checkpoint that this start goes on from; 0 without one.
        checkpoint: That checkpoint, by its name if it lies in the folder; empty without one.
        host, pid, started: Of the process that holds the folder, or held it last, and since when.
    """

    id: str = ''
    start: int = 0
    iter: int = 0
    checkpoint: str = ''
    host: str = ''
    pid: int = 0
    started: str = ''

    def owns(self, meta: Mapping[str, Any]) -> bool:
        """Whether a checkpoint is of this run, and not of a part of it that was given up for an earlier checkpoint.

        Args:
            meta: Of the checkpoint.
        """
        other = marked_run(meta)
        return other.id == self.id and (other.start >= self.start or other.iter <= self.iter)

    @property
    def mark(self) -> dict[str, Any]:
        """What a checkpoint's meta has as ``run``."""
        return dict(id=self.id, start=self.start)


def marked_run(meta: Mapping[str, Any]) -> Run:
    """The run that has written a checkpoint, as far as the checkpoint's meta tells.

    Args:
        meta: Of the checkpoint; older ones and those of other programs tell no ``id``.
    """
    mark = meta.get('run')
    if not isinstance(mark, Mapping) or not isinstance(mark.get('start'), int):
        mark = dict(id='', start=0)
    return Run(str(mark.get('id', '')), mark['start'], iterations(meta))


def iterations(meta: Mapping[str, Any]) -> int:
    """How many a checkpoint has behind it, as far as its meta tells."""
    return meta['iter'] if isinstance(meta.get('iter'), int) else 0


def run_id() -> dict[str, Any]:
    """The id of this process's training as a field of a record; nothing if it has none."""
    known = MessageHub.get_current_instance().get_info(RUN_ID)
    return {} if known is None else {RUN_ID: known}
