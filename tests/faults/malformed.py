"""A malformed input, what came of it, and whether that is what should have come."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from small_training import Training

SECONDS = 180.0  # after which a training counts as hanging
_ERROR = re.compile(r'^(?:Error: |\S+: error: argument )(.+)$')


@dataclass(frozen=True)
class Outcome:
    """Of a training.

    Attributes:
        kind: ``error`` (one sentence), ``error after a traceback``, ``trained``, ``hang`` or ``no sentence``.
        sentence: The error's, or how the output ends.
        seconds: How long it took.
    """

    kind: str
    sentence: str
    seconds: float


@dataclass(frozen=True)
class Result:
    """Of one malformed input: what came of it, in what words, and what is wrong with that, if anything is."""

    group: str
    name: str
    kind: str
    sentence: str
    fault: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """One malformed input.

    Attributes:
        group: What is malformed.
        name: Of the case.
        start: Starts the training in a folder.
        allowed: Kinds of outcomes that are no fault.
        says: Words of the sentence.
        check: A fault beside the outcome in a few words, or nothing, from the folder and the outcome.
    """

    group: str
    name: str
    start: Callable[[Path], Training]
    allowed: frozenset[str]
    says: str = ''
    check: Callable[[Path, Outcome], str] = lambda folder, outcome: ''

    def run(self, folder: Path) -> Result:
        """Run it in a new folder."""
        outcome, fault = self._outcome(folder)
        return Result(self.group, self.name, outcome.kind, outcome.sentence, fault, outcome.seconds)

    def _outcome(self, folder: Path) -> tuple[Outcome, str]:
        folder.mkdir()
        training, start = self.start(folder), time.monotonic()
        try:
            training.wait(timeout=SECONDS)
        except TimeoutError:
            return Outcome('hang', training.text[-200:], SECONDS), 'it hangs'
        outcome = outcome_of(training, time.monotonic() - start)
        if outcome.kind not in self.allowed:
            return outcome, f'{outcome.kind}: {outcome.sentence}'
        if outcome.kind != 'trained' and self.says not in outcome.sentence:
            return outcome, f'the sentence does not say {self.says!r}: {outcome.sentence}'
        return outcome, self.check(folder, outcome)


def outcome_of(training: Training, seconds: float) -> Outcome:
    """What came of a training that has ended, by its status and its output."""
    text = training.text
    last = text.strip().splitlines()[-1] if text.strip() else ''
    error = _ERROR.match(last)
    if training.exit_codes == [0]:
        return Outcome('trained', last, seconds)
    if training.exit_codes not in ([1], [2]) or error is None:
        return Outcome('no sentence', f'status {training.exit_codes}: {last}', seconds)
    return Outcome('error after a traceback' if 'Traceback' in text else 'error', error[1], seconds)
