"""Train every row of a study with every seed, evaluate each, and put the figures into one table.

    python tools/study.py configs/studies/digits.py
    python tools/study.py configs/studies/digits.py --table-only
    python tools/study.py configs/studies/digits.py --table-only --baseline knn
    python tools/study.py configs/studies/digits.py --from-csv docs/study_digits_runs.csv
    python tools/study.py configs/studies/digits.py --seeds 3 4    # these alone; another machine runs the others

What is finished is not run again; a study that was broken off goes on. The table is written after each run.
"""

import argparse
import os.path as osp
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Optional

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
from clim_mm.checkpoints import HeldFolder, write_atomically
from clim_mm.checks import check_choice, check_whole
from clim_mm.errors import ConfigError
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.progress import progress_bar
from clim_mm.study import (
    Figure,
    Run,
    Study,
    figures_of,
    read_runs_csv,
    read_study,
    runs_csv,
    runs_of,
    table_of,
    unfinished,
)
from clim_mm.study.runs import Stage


def write_table(study: Study, figures: list[Figure], work_dir: str) -> str:
    """Write it as Markdown and pictures, and each run's figures as CSV; give the Markdown."""
    table = table_of(study, figures)
    write_atomically(osp.join(work_dir, 'table.md'), table.markdown().encode())
    write_atomically(osp.join(work_dir, 'runs.csv'), runs_csv(figures).encode())
    table.draw(osp.join(work_dir, 'table.png'))
    table.draw_comparisons(osp.join(work_dir, 'comparisons.png'))
    return table.markdown()


def finish(study: Study, runs: list[Run], todo: list[tuple[Run, Stage]], work_dir: str, jobs: int) -> None:
    """Run what is still to do, ``jobs`` runs at once; the stages of a run one after another.

    Once one has failed no further stage begins; those that run may end, and are kept.
    """
    lock, failed = threading.Lock(), threading.Event()
    with progress_bar(total=len(todo), desc=study.name, unit='stage') as bar, ThreadPoolExecutor(jobs) as pool:

        def run_stages(run: Run) -> None:
            try:
                for stage in [stage for of, stage in todo if of is run]:
                    if failed.is_set():
                        return
                    run.execute(stage, osp.dirname(__file__))
                    with lock:
                        bar.update()
                        write_table(study, figures_of(runs), work_dir)
            except BaseException:
                failed.set()
                raise

        try:
            for done in [pool.submit(run_stages, run) for run in dict.fromkeys(run for run, _ in todo)]:
                done.result()
        except BaseException:
            failed.set()  # an interrupt reaches only this thread
            raise


def chosen(some: Optional[Sequence], of_all: Sequence) -> Sequence:
    """What the command line names of the study's rows or seeds; all if it names none."""
    unknown = set(some or ()) - set(of_all)
    if unknown:
        raise ConfigError(f'The study has {", ".join(map(str, of_all))}, and no {", ".join(map(str, unknown))}: name '
                          'some of them by --rows and --seeds.')
    return of_all if some is None else some


def main() -> None:
    parser = argparse.ArgumentParser(description='Compare configs over several seeds.')
    parser.add_argument('study', help='the study file')
    parser.add_argument('--work-dir', help='where the runs and the table go (default: work_dirs/studies/STUDY)')
    parser.add_argument('--jobs', type=int, default=1, help='runs at once (default: 1)')
    only = parser.add_mutually_exclusive_group()
    only.add_argument('--table-only', action='store_true', help='make the table of what is finished; run nothing')
    only.add_argument('--from-csv', nargs='+', metavar='RUNS_CSV',
                      help='make the table of runs.csv files that this command has written; run nothing')
    parser.add_argument('--seeds', type=int, nargs='+', help='some of the study file\'s seeds to run (default: all)')
    parser.add_argument('--rows', nargs='+', help='some of its rows to run (default: all)')
    parser.add_argument('--baseline', help='the row that the others are compared with (default: the study file\'s)')
    args = parser.parse_args()
    with errors_in_a_sentence():
        check_whole('--jobs', args.jobs, least=1)
        study = read_study(args.study)
        rows, seeds = chosen(args.rows, [row.name for row in study.rows]), chosen(args.seeds, study.seeds)
        if args.baseline is not None:
            check_choice('--baseline', args.baseline, [row.name for row in study.rows])
            study = replace(study, baseline=args.baseline)
        folder = f'{study.name}-from-csv' if args.from_csv else study.name
        work_dir = args.work_dir or osp.join('work_dirs', 'studies', folder)
        if args.from_csv:
            figures = read_runs_csv(args.from_csv, study)
        else:
            if not args.table_only:
                HeldFolder(work_dir)  # until this process ends
            runs = runs_of(study, work_dir)
            todo = [(run, stage) for run, stage in unfinished(runs) if run.seed in seeds and run.row in rows]
            if todo and not args.table_only:
                finish(study, runs, todo, work_dir, args.jobs)
            figures = figures_of(runs)
        print(write_table(study, figures, work_dir))
        print(f'The table is {work_dir}/table.md and table.png; runs.csv has every run.')


if __name__ == '__main__':
    main()
