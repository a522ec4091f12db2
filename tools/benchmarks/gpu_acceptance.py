"""Whether the project is right and fast on a GPU: one table with pass or FAIL, within the minutes that it is given.

    python tools/benchmarks/gpu_acceptance.py --part correctness --minutes 8 --json correctness.json
    python tools/benchmarks/gpu_acceptance.py --part step --minutes 8 --json step.json
    python tools/benchmarks/gpu_acceptance.py --part correctness --device cpu --small    # tries the checks themselves

Needs one GPU and no network. Each check runs in a process of its own: one that dies is a FAIL, one that runs out of its
share of the time is cut off, and the others go on. The JSON is written anew after each line.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from acceptance import BEGUN
from acceptance.faiss_on_gpu import check_faiss
from acceptance.in_turn import results_of, run_in_turn
from acceptance.refresh_speed import check_extraction, check_refresh
from acceptance.resumed import check_resumed
from acceptance.rows import Row
from acceptance.same_steps import check_steps
from acceptance.same_views import check_views
from acceptance.setting import Check, Setting
from acceptance.speed import check_speed
from acceptance.waiting import check_waiting
from devices import device_of
from pairs import machine, write_figures

from clim_mm.checks import check_number
from clim_mm.errors import ConfigError
from clim_mm.launch.commands import errors_in_a_sentence

# With their shares of the time; in the order of importance, should it be cut short.
PARTS: dict[str, list[tuple[str, Check, float]]] = dict(
    correctness=[('faiss', check_faiss, 3), ('steps', check_steps, 3), ('views', check_views, 1),
                 ('waiting', check_waiting, 1), ('resumed', check_resumed, 3)],
    step=[('speed', check_speed, 4), ('extraction', check_extraction, 1.5), ('refresh', check_refresh, 2)])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Try the project on a GPU.')
    parser.add_argument('--part', choices=[*PARTS], default='correctness', help='what to try (default: correctness)')
    parser.add_argument('--minutes', type=float, default=8.0, help='for all of it, at most (default: 8)')
    parser.add_argument('--device', default='cuda', help='cuda or cpu (default: cuda)')
    parser.add_argument('--small', action='store_true', help='at a size of seconds on a CPU')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    return parser.parse_args()


def describe(setting: Setting) -> Iterator[dict[str, Any]]:
    """The machine. Not in this process, whose children could not use a GPU then."""
    device_of(setting.device)
    yield machine()


def summary(rows: list[tuple[str, Row]]) -> str:
    """How many lines passed."""
    passed, failed = (sum(row.ok is verdict for _, row in rows) for verdict in (True, False))
    missing = [row.name for _, row in rows if row.note.startswith('left out')]
    return f'{passed} passed, {failed} failed, {len(missing)} left out{": " if missing else ""}{", ".join(missing)}'


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence(), tempfile.TemporaryDirectory() as folder:
        check_number('--minutes', args.minutes, above=0)
        setting, end = Setting(args.device, args.small, folder), BEGUN + 60 * args.minutes
        found = next(results_of('machine', describe, setting, end))
        too_short = ConfigError(f'--minutes {args.minutes:g} are over before a check could begin: give more.')
        if isinstance(found, Row):
            if time.monotonic() >= end:
                raise too_short
            raise ConfigError(f'--device {args.device} cannot be used ({found.note}): take a machine with a GPU, or '
                              'try the checks themselves by --device cpu --small.')
        print(f'{args.part} on {", ".join(found["gpus"]) or found["processor"]}, torch {found["torch"]}', flush=True)
        rows: list[tuple[str, Row]] = []

        def tell(check: str, row: Row) -> None:
            rows.append((check, row))
            print(row.line(), flush=True)
            if args.json:
                write_figures(args.json, dict(
                    machine=found, settings=vars(args), seconds=time.monotonic() - BEGUN,
                    rows=[dict(check=check, **dataclasses.asdict(row)) for check, row in rows]))

        if not run_in_turn(PARTS[args.part], setting, end, tell):
            raise too_short
    print(f'{summary(rows)}; {time.monotonic() - BEGUN:.0f} s')
    sys.exit(any(row.ok is False for _, row in rows))


if __name__ == '__main__':
    main()
