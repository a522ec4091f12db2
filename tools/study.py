"""Train every row of a study with every seed, evaluate each, and put the figures into one table.

    python tools/study.py configs/studies/digits.py
    python tools/study.py configs/studies/digits.py --table-only

What is finished is not run again; a study that was broken off goes on. The table is written after each run.
"""

import argparse
import os.path as osp
from pathlib import Path

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
from clim_mm.checkpoints import write_atomically
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.progress import progress_bar
from clim_mm.study import Study, read_study, runs_of, table_of
from clim_mm.study.execute import execute
from clim_mm.study.runs import Run, unfinished


def write_table(study: Study, runs: list[Run], work_dir: str) -> str:
    """Write it as Markdown, CSV and a plot; give the Markdown."""
    table = table_of(study.name, study.baseline, study.metrics, runs)
    write_atomically(osp.join(work_dir, 'table.md'), table.markdown().encode())
    write_atomically(osp.join(work_dir, 'table.csv'), table.csv().encode())
    table.draw(osp.join(work_dir, 'table.png'))
    return table.markdown()


def main() -> None:
    parser = argparse.ArgumentParser(description='Compare configs over several seeds.')
    parser.add_argument('study', help='the study file')
    parser.add_argument('--work-dir', help='where the runs and the table go (default: work_dirs/studies/STUDY)')
    parser.add_argument('--table-only', action='store_true', help='make the table of what is finished; run nothing')
    args = parser.parse_args()
    with errors_in_a_sentence():
        study = read_study(args.study)
        work_dir = args.work_dir or osp.join('work_dirs', 'studies', study.name)
        runs = runs_of(study, work_dir)
        todo = unfinished(runs)
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        if not args.table_only:
            with progress_bar(todo, desc=study.name, unit='stage') as bar:
                for run, stage in bar:
                    bar.set_postfix_str(f'{run.row}, seed {run.seed}, {stage.name}')
                    execute(run, stage, osp.dirname(__file__))
                    write_table(study, runs, work_dir)
        print(write_table(study, runs, work_dir))
        print(f'The table is {work_dir}/table.md, table.csv and table.png.')


if __name__ == '__main__':
    main()
