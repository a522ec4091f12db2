"""Figures of a study's runs, and their table: means over seeds with intervals, as text and as pictures."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit  # Student's quantiles; scipy.stats has the same, and takes a second to import

from clim_mm.causes import machine_error
from clim_mm.errors import DataError

from .runs import Run
from .study_file import Study


class Figure(NamedTuple):
    """One figure of one run, such as ``knn_20_top1`` of row ``clim`` with seed 0."""

    row: str
    seed: int
    figure: str
    value: float


def figures_of(runs: Sequence[Run]) -> list[Figure]:
    """All figures of the stages that are finished."""
    return [Figure(run.row, run.seed, name, value) for run in runs for result in run.results().values()
            for name, value in result['figures'].items()]


def runs_csv(figures: Sequence[Figure]) -> str:
    """A line for each figure, as ``read_runs_csv`` reads it."""
    csv.writer(text := io.StringIO(), lineterminator='\n').writerows([Figure._fields, *figures])
    return text.getvalue()


def read_runs_csv(paths: Sequence[str], study: Study) -> list[Figure]:
    """Read what ``runs_csv`` has written for this study, on one machine or on several; DataError for anything else."""
    known = {(row.name, seed) for row in study.rows for seed in study.seeds}
    all_found: dict[tuple[str, int, str], Figure] = {}
    for path in paths:
        try:
            with open(path, newline='') as file:
                found = [Figure(line['row'], int(line['seed']), line['figure'], float(line['value']))
                         for line in csv.DictReader(file)]
        except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
            raise machine_error(error) or DataError(f'The runs in {path} cannot be read ({error}): give a runs.csv '
                                                    'that this command has written.') from error
        before = len(all_found)
        all_found.update({figure[:3]: figure for figure in found
                          if figure[:2] in known and math.isfinite(figure.value)})
        if not found or len(all_found) < before + len(found):
            raise DataError(f'{path} holds no figure, or what is no figure of a run of the study {study.name}, or one '
                            'twice: give a runs.csv of this study, as it was written.')
    return list(all_found.values())


@dataclass(frozen=True)
class Estimate:
    """A mean of ``number`` values (NaN of none), with half its 95 % confidence interval (Student's t; NaN of one)."""

    mean: float
    half_width: float
    number: int

    @property
    def is_noise(self) -> bool:
        """Of a difference: whether 0 is in the interval, or there is none."""
        return not abs(self.mean) > self.half_width

    def text(self, difference: bool = False) -> str:
        """As the table has it: a difference with its sign, in brackets if it may be noise."""
        if math.isnan(self.mean):
            return '-'
        text = f'{self.mean:+.3f}' if difference else f'{self.mean:.3f}'
        text += '' if math.isnan(self.half_width) else f' ± {self.half_width:.3f}'
        return f'({text})' if difference and self.is_noise else text


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of independent values."""
    number = len(values)
    if number < 2:
        return Estimate(float(values[0]) if number else math.nan, math.nan, number)
    standard_error = float(np.std(values, ddof=1)) / math.sqrt(number)
    return Estimate(float(np.mean(values)), float(stdtrit(number - 1, 0.975)) * standard_error, number)


@dataclass(frozen=True)
class Table:
    """Figures of several trainings of each row, compared with a baseline and in pairs."""

    baseline: str
    metrics: Sequence[str]
    values: Mapping[str, Mapping[str, Mapping[int, float]]]  # by row, metric and seed
    comparisons: Sequence[tuple[str, str]] = ()

    def mean(self, row: str, metric: str) -> Estimate:
        """Mean and 95 % interval over the seeds."""
        return estimate(list(self.values[row][metric].values()))

    def difference(self, row: str, other: str, metric: str) -> Estimate:
        """Mean and 95 % interval of the differences between trainings of the same seed, of those that both have."""
        values, others = self.values[row][metric], self.values[other][metric]
        return estimate([values[seed] - others[seed] for seed in sorted(values.keys() & others.keys())])

    def markdown(self) -> str:
        """Means with 95 % intervals, and below each row its paired difference to the baseline; then the comparisons."""
        def differences(row: str, other: str) -> str:
            return ' | '.join(self.difference(row, other, metric).text(difference=True) for metric in self.metrics)

        names, rule = ' | '.join(self.metrics), '---|' * len(self.metrics)
        lines = [f'| row | seeds | {names} |', f'|---|---|{rule}']
        for row in self.values:
            means = [self.mean(row, metric) for metric in self.metrics]
            number = max((mean.number for mean in means), default=0)
            lines.append(f'| **{row}** | {number} | {" | ".join(mean.text() for mean in means)} |')
            if row != self.baseline:
                lines.append(f'| minus {self.baseline} | | {differences(row, self.baseline)} |')
        lines += ['', 'Means over the seeds, with the half width of their 95 % interval (Student\'s t). Differences '
                  'are between trainings of the same seed; those in brackets have an interval with 0 in it, and may be '
                  'noise.']
        if self.comparisons:
            lines += ['', f'| difference | {names} |', f'|---|{rule}']
            lines += [f'| {row} over {other} | {differences(row, other)} |' for row, other in self.comparisons]
        return '\n'.join(lines) + '\n'

    def draw(self, path: str) -> None:
        """Write a picture: a panel for each metric, a point with its interval for each row, a line at the baseline."""
        _draw(path, {metric: {row: self.mean(row, metric) for row in self.values} for metric in self.metrics},
              {metric: self.mean(self.baseline, metric).mean for metric in self.metrics},
              lambda row, mean: 'tab:orange' if row == self.baseline else 'tab:blue')

    def draw_comparisons(self, path: str) -> None:
        """Write a picture of the comparisons, if there are any: a line at 0; what may be noise is gray."""
        if self.comparisons:
            _draw(path, {metric: {f'{row} over {other}': self.difference(row, other, metric)
                                  for row, other in self.comparisons} for metric in self.metrics},
                  dict.fromkeys(self.metrics, 0.0), lambda name, value: 'silver' if value.is_noise else 'tab:blue')


def table_of(study: Study, figures: Sequence[Figure]) -> Table:
    """Put the figures of a study's runs together; what is not there yet is left out."""
    values: dict[str, dict[str, dict[int, float]]] = {
        row.name: {metric: {} for metric in study.metrics} for row in study.rows}
    for figure in figures:
        if figure.figure in study.metrics:
            values[figure.row][figure.figure][figure.seed] = figure.value
    return Table(study.baseline, study.metrics, values, study.comparisons)


def _draw(path: str, panels: Mapping[str, Mapping[str, Estimate]], lines: Mapping[str, float],
          color: Callable[[str, Estimate], str]) -> None:
    """Write a PNG: a panel for each metric with an upright line, in it a point with its interval for each row."""
    # Here: a study without pictures need not wait for these, nor a detector's table for MMSelfSup.
    from matplotlib.figure import Figure as Picture

    from clim_mm.visualization.figures import write_picture

    rows = list(next(iter(panels.values())))
    picture = Picture(figsize=(1.2 + 0.08 * max(map(len, rows)) + 2.6 * len(panels), 1.4 + 0.3 * len(rows)),
                      layout='constrained')
    for axes, (metric, values) in zip(
            picture.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels.items(), strict=True):
        for place, (row, value) in enumerate(values.items()):
            width = 0.0 if math.isnan(value.half_width) else value.half_width
            axes.errorbar(value.mean, place, xerr=width, fmt='o', color=color(row, value), capsize=3, markersize=4)
        axes.axvline(lines[metric], color='tab:orange', linewidth=0.8, zorder=0)
        axes.set(title=metric, yticks=range(len(rows)), yticklabels=rows)
        axes.locator_params(axis='x', nbins=4)  # more would stand one upon another
        axes.grid(axis='x', alpha=0.3)
    picture.axes[0].invert_yaxis()
    write_picture(picture, path)
