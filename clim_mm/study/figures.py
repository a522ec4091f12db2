"""The figures of a study's runs: from their results, or from a CSV file, and into one."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from clim_mm.causes import machine_error
from clim_mm.checks import check_choice
from clim_mm.errors import DataError

from .runs import Run
from .study_file import Study

_HEADER = ['row', 'seed', 'figure', 'value']


@dataclass(frozen=True)
class Figure:
    """One figure of one run, such as ``knn_20_top1`` of row ``clim`` with seed 0."""

    row: str
    seed: int
    name: str
    value: float


def figures_of(runs: Sequence[Run]) -> list[Figure]:
    """All figures of the stages that are finished.

    Raises:
        ConfigError, DataError: As ``Run.results``.
    """
    return [Figure(run.row, run.seed, name, value) for run in runs for result in run.results().values()
            for name, value in result['figures'].items()]


def runs_csv(figures: Sequence[Figure]) -> str:
    """A line for each figure, as ``read_runs_csv`` reads it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(_HEADER)
    writer.writerows([figure.row, figure.seed, figure.name, figure.value] for figure in figures)
    return text.getvalue()


def read_runs_csv(path: str, study: Study) -> list[Figure]:
    """Read what ``runs_csv`` has written for this study.

    Raises:
        DataError: If it cannot be read, holds something else, or a figure twice.
        ConfigError: If it names a row that the study has not.
    """
    try:
        with open(path, newline='') as file:
            header, *lines = [line for line in csv.reader(file) if line] or [[]]
        figures = [Figure(row, int(seed), name, float(value)) for row, seed, name, value in lines]
    except (OSError, ValueError, csv.Error) as error:
        raise machine_error(error) or DataError(
            f'The runs in {path} cannot be read ({type(error).__name__}: {error}): give a runs.csv that this command '
            'has written.') from error
    if header != _HEADER or not all(math.isfinite(figure.value) for figure in figures):
        raise DataError(f'{path} holds no runs: the first line must be {",".join(_HEADER)}, and each value a number.')
    if len({(figure.row, figure.seed, figure.name) for figure in figures}) < len(figures):
        raise DataError(f'{path} holds a figure of a run twice: each would count twice; give it as it was written.')
    for figure in figures:
        check_choice(f'A row of {path}', figure.row, [row.name for row in study.rows])
        if figure.seed not in study.seeds:
            raise DataError(f'{path} has seed {figure.seed}, which the study {study.name} has not: it is of another '
                            'study.')
    return figures
