"""Which quick test notices which fault: each mutant of mutant_list.py, one at a time, in a copy of the package.

    python tests/mutants.py [--only NAME ...] [--near] [--json FILE]

The tests of the mutant's own folder come first, and only if they all pass the other quick ones; what survives these
meets the tests of its folder that are marked ``e2e``. A process that has imported everything but this package forks one
for each run. A test that fails without the fault as well notices nothing: what has caught a mutant is run again at the
end on the package as it is. The exit status is the number of survivors, a missing test each.
"""

import argparse
import contextlib
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import types
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Optional

import pytest
from mutant_list import MUTANTS, PACKAGE, Mutant, stale
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
COPIED = (PACKAGE, 'configs', 'docs', 'requirements', 'tests', 'tools')
QUICK = ['-q', '-m', 'not e2e', '-p', 'no:cacheprovider']
IMPORTED = ('scipy.stats', 'torchvision', 'faiss', 'sklearn.linear_model', 'matplotlib.figure', 'mmcv.transforms',
            'mmengine.runner', 'mmengine.visualization', 'mmselfsup.models', 'mmselfsup.datasets', 'mmcls.datasets')
WORKERS = 2
SECONDS = 180.0  # for a test; one that hangs has caught its mutant as well
FORK = multiprocessing.get_context('fork')
_AT_WHICH = ', which '


@dataclass(frozen=True)
class Result:
    """What came of a mutant.

    Attributes:
        name: Of the mutant.
        caught_by: The test that has failed, '' for a survivor.
        seconds: Until then.
        quick: Whether the tests that are not marked ``e2e`` were enough.
    """

    name: str
    caught_by: str
    seconds: float
    quick: bool

    @property
    def verdict(self) -> str:
        """The test, and its kind if it is no quick one, or that there is none."""
        if not self.caught_by:
            return 'SURVIVED'
        return self.caught_by if self.quick else f'e2e: {self.caught_by}'


class Notes:
    """A plugin of pytest's that keeps a file up to date: which test runs, and which have failed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.failed: list[str] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note the test: the process may not come back from it."""
        self._note(running=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure, also of a fixture."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be imported."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Note that it came to an end, and how."""
        sound = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        self._note(failed=self.failed or ([] if sound else [f'pytest ends with status {int(exitstatus)}']))

    def _note(self, **what: Any) -> None:
        self.file.write_text(json.dumps(what))


class Copy:
    """A copy of the package and its tests, in which one process at a time runs tests.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / 'copy'
        self.root.mkdir(parents=True)
        for name in COPIED:
            shutil.copytree(ROOT / name, self.root / name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
        for file in filter(Path.is_file, ROOT.iterdir()):
            shutil.copy(file, self.root)
        self.note, self.output, self._temporary = folder / 'note.json', folder / 'output.txt', folder / 'temporary'

    @contextlib.contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Have the fault in it for as long as the context lasts."""
        path = self.root / PACKAGE / mutant.file
        sound = path.read_text()
        try:
            _write_module(path, mutant.applied_to(sound))
            yield
        finally:
            _write_module(path, sound)

    def failures(self, *arguments: str) -> Generator[int, None, list[str]]:
        """Run tests.

        Args:
            *arguments: Of pytest: the tests, and when to stop.

        Yields:
            What to wait for, until they have ended.

        Returns:
            The tests that have failed, or the one that has ended its process or does not end itself.
        """
        self.note.write_text('{}')
        process = FORK.Process(target=self._run, args=arguments)
        process.start()
        assert process.pid is not None
        try:
            # The note is as old as the test that runs.
            while process.is_alive() and time.time() < self.note.stat().st_mtime + SECONDS:
                yield process.sentinel
            hangs = process.is_alive()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what the tests have started and left
            process.join()
        note = json.loads(self.note.read_text() or '{}')
        how = 'does not end' if hangs else f'ends its process with status {process.exitcode}'
        return note.get('failed', [f'{note.get("running", "The collection")}{_AT_WHICH}{how}'])

    def _run(self, *arguments: str) -> None:
        os.setsid()
        with open(self.output, 'w') as output:
            for descriptor in (1, 2):
                os.dup2(output.fileno(), descriptor)
        os.chdir(self.root)
        sys.path.insert(0, str(self.root))
        os.environ['PYTHONPATH'] = str(self.root)
        status = pytest.main([*QUICK, f'--basetemp={self._temporary}', *arguments], plugins=[Notes(self.note)])
        os._exit(int(status))  # what is the first process's ends there


def _write_module(path: Path, text: str) -> None:
    path.write_text(text)
    # Of a file that is as long and was written in the same second, the compiled one would count as its own.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def test_files(root: Path, mutated: str) -> tuple[list[str], list[str]]:
    """The test files near a file of the package, its own first, and all others.

    Args:
        root: Folder of the package and the tests.
        mutated: The file, below the package.
    """
    folder, stem = (root / 'tests' / mutated).parent, Path(mutated).stem
    while not folder.is_dir():  # tests/models/ is flat
        folder = folder.parent
    # That of the list would notice every mutant.
    all_files = sorted(set((root / 'tests').rglob('test_*.py')) - {root / 'tests' / 'test_mutant_list.py'})
    own = [path for path in all_files if path.parent == folder and path.stem.startswith(f'test_{stem}')]
    beside = [path for path in all_files if path.parent == folder and path not in own and folder.name != 'tests']
    others = [path for path in all_files if path not in own and path not in beside and 'e2e' not in path.parts]
    near, far = ([str(path.relative_to(root)) for path in part] for part in (own + beside, others))
    return near, far


def _judged(copy: Copy, mutant: Mutant, near_only: bool) -> Generator[int, None, Result]:
    start = time.monotonic()
    near, far = test_files(copy.root, mutant.file)
    runs = [near, [] if near_only else far, near and ['-m', 'e2e', *near]]
    failed: list[str] = []
    with copy.mutated(mutant):
        while runs and not failed:
            if arguments := runs.pop(0):
                failed = yield from copy.failures('-x', *arguments)
    return Result(mutant.name, failed[0] if failed else '', time.monotonic() - start, quick=bool(runs))


def judge(mutants: Sequence[Mutant], folder: Path, near_only: bool = False) -> list[Result]:
    """Run the tests on every mutant, some mutants at a time, and once without a fault those that have failed.

    Args:
        mutants: The faults.
        folder: For the copies.
        near_only: Do without the tests of other folders.

    Returns:
        In the order of the mutants.
    """
    copies = [Copy(folder / str(number)) for number in range(min(WORKERS, len(mutants)))]
    todo = list(enumerate(mutants))
    results: dict[int, Result] = {}
    at_work: dict[Copy, tuple[int, Generator[int, None, Result]]] = {}
    interval = 0.2 if sys.stderr.isatty() else 30.0
    with tqdm(total=len(mutants), desc='mutants', unit='mutant', mininterval=interval) as bar:
        while todo or at_work:
            sentinels = []
            for copy in copies:
                if copy not in at_work and todo:
                    place, mutant = todo.pop(0)
                    at_work[copy] = place, _judged(copy, mutant, near_only)
                if copy in at_work:
                    place, steps = at_work[copy]
                    try:
                        sentinels.append(next(steps))
                    except StopIteration as end:
                        results[place] = end.value
                        del at_work[copy]
                        bar.update()
            wait(sentinels, timeout=1.0 if len(sentinels) == len(copies) or not todo else 0)
    return _confirmed([results[place] for place in range(len(mutants))], copies[0])


def _confirmed(results: list[Result], copy: Copy) -> list[Result]:
    """Let a test that fails on the sound package as well have caught nothing."""
    tests = {result.caught_by.partition(_AT_WHICH)[0] for result in results if result.caught_by.startswith('tests/')}
    failed: set[str] = set()
    for _, of_folder in groupby(sorted(tests), key=os.path.dirname):  # as they were run
        failed.update(_last(copy.failures('-m', '', *of_folder)))
    for test in sorted(failed):
        print(f'{test} fails without any fault as well: mend it first.')
    return [replace(result, caught_by='') if result.caught_by.partition(_AT_WHICH)[0] in failed else result
            for result in results]


def _last(steps: Generator[int, None, list[str]]) -> list[str]:
    try:
        while True:
            wait([next(steps)], timeout=1.0)
    except StopIteration as end:
        return end.value


def import_all_but_the_package() -> None:
    """Import what the tests import; each run then brings its own copy of the package."""
    sys.path.remove(str(Path(__file__).parent))  # the copies have test helpers of their own
    # One of its modules alone, without what else it imports: the gate of MMSelfSup's version.
    stub = types.ModuleType(PACKAGE)
    stub.__path__ = [str(ROOT / PACKAGE)]
    sys.modules[PACKAGE] = stub
    os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(2**28))
    importlib.import_module(f'{PACKAGE}.host').open_gate()
    for name in IMPORTED:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition('.')[0] == PACKAGE]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith(PACKAGE)]


def table(results: Sequence[Result]) -> str:
    """A line for each mutant, and the share that was caught."""
    width = max(len(result.name) for result in results)
    lines = [f'{result.name:{width}}  {result.seconds:5.0f} s  {result.verdict}' for result in results]
    caught = [result for result in results if result.caught_by]
    quick = sum(result.quick for result in caught)
    return '\n'.join([*lines, f'{quick} of {len(results)} mutants are caught by quick tests '
                              f'({quick / len(results):.1%}), {len(caught) - quick} more by tests marked e2e.'])


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run it; give the number of survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', metavar='NAME', help='mutants with one of these words in their name')
    parser.add_argument('--near', action='store_true', help='only the tests in the folder that mirrors the mutant\'s')
    parser.add_argument('--json', metavar='FILE', help='write the results there as well')
    args = parser.parse_args(arguments)
    if wrong := list(stale(MUTANTS, ROOT)):
        sys.exit('\n'.join(wrong))
    mutants = [mutant for mutant in MUTANTS if not args.only or any(word in mutant.name for word in args.only)]
    if not mutants:
        sys.exit('No mutant has such a name: see tests/mutant_list.py.')
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    tqdm.monitor_interval = 0  # its thread might hold a lock when a process is forked
    import_all_but_the_package()
    with tempfile.TemporaryDirectory(prefix='mutants_') as folder:
        results = judge(mutants, Path(folder), args.near)
    print(table(results))
    if args.json:
        Path(args.json).write_text(json.dumps([asdict(result) for result in results], indent=2) + '\n')
    return sum(not result.caught_by for result in results)


if __name__ == '__main__':
    sys.exit(main())
