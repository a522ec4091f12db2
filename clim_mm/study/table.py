"""The table of a study: a row of means for each kind of training, as text, as CSV and as a plot."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from .runs import Run
from .statistics import Estimate, estimate, paired_difference


@dataclass(frozen=True)
class Cell:
    """A row's figure, and its difference from the baseline's with the same seeds."""

    value: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Table:
    """Of a study.

    Attributes:
        name: Of the study.
        baseline: Name of a row.
        metrics: Names of the columns.
        cells: By row, then by metric.
    """

    name: str
    baseline: str
    metrics: tuple[str, ...]
    cells: dict[str, dict[str, Cell]]

    def markdown(self) -> str:
        """Means with 95 % intervals, and below each row its paired difference to the baseline."""
        lines = [f'| row | seeds | {" | ".join(self.metrics)} |', '|---|---|' + '---|' * len(self.metrics)]
        for row, cells in self.cells.items():
            number = max((cell.value.number for cell in cells.values()), default=0)
            lines.append(f'| **{row}** | {number} | {" | ".join(_shown(cells[m].value) for m in self.metrics)} |')
            if row != self.baseline:
                differences = ' | '.join(_shown_difference(cells[m].difference) for m in self.metrics)
                lines.append(f'| minus {self.baseline} | | {differences} |')
        return '\n'.join([
            *lines, '', 'Means over the seeds, with the half width of their 95 % interval (Student\'s t). Differences '
            'are between trainings of the same seed; those in brackets have an interval with 0 in it, and may be noise.'
        ]) + '\n'

    def csv(self) -> str:
        """A line for each row and metric."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(['row', 'metric', 'seeds', 'mean', 'half_width', 'difference', 'difference_half_width'])
        for row, cells in self.cells.items():
            for metric, cell in cells.items():
                writer.writerow([row, metric, cell.value.number, cell.value.mean, cell.value.half_width,
                                 cell.difference.mean, cell.difference.half_width])
        return text.getvalue()

    def draw(self, path: str) -> None:
        """Write a picture: a panel for each metric, a point with its interval for each row."""
        figure = Figure(figsize=(2.2 + 2.6 * len(self.metrics), 1.4 + 0.3 * len(self.cells)), layout='constrained')
        panels = figure.subplots(1, len(self.metrics), squeeze=False, sharey=True)[0]
        rows = list(self.cells)
        for axes, metric in zip(panels, self.metrics, strict=True):
            values = [self.cells[row][metric].value for row in rows]
            colors = ['tab:orange' if row == self.baseline else 'tab:blue' for row in rows]
            widths = [0.0 if math.isnan(value.half_width) else value.half_width for value in values]
            for place, (value, width, color) in enumerate(zip(values, widths, colors, strict=True)):
                axes.errorbar(value.mean, place, xerr=width, fmt='o', color=color, capsize=3, markersize=4)
            axes.axvline(self.cells[self.baseline][metric].value.mean, color='tab:orange', linewidth=0.8, zorder=0)
            axes.set(title=metric, yticks=range(len(rows)), yticklabels=rows)
            axes.grid(axis='x', alpha=0.3)
        panels[0].invert_yaxis()
        figure.savefig(path, dpi=130)


def table_of(name: str, baseline: str, metrics: Sequence[str], runs: Sequence[Run]) -> Table:
    """Put the results of the runs together; what is not there yet is left out.

    Args:
        name: Of the study.
        baseline: Row that the others are compared with.
        metrics: Names of figures, as the stages give them.
        runs: With their results on the disk.

    Raises:
        ConfigError, DataError: As ``Run.results``.
    """
    by_row: dict[str, dict[str, dict[int, float]]] = {run.row: {metric: {} for metric in metrics} for run in runs}
    for run in runs:
        for name, value in _figures(run).items():
            if name in metrics:
                by_row[run.row][name][run.seed] = value
    cells = {
        row: {
            metric: Cell(estimate(list(values.values())), paired_difference(values, by_row[baseline][metric]))
            for metric, values in by_metric.items()
        } for row, by_metric in by_row.items()
    }
    return Table(name, baseline, tuple(metrics), cells)


def runs_csv(runs: Sequence[Run]) -> str:
    """All figures of all runs that are finished: a line for each row, seed and figure.

    Raises:
        ConfigError, DataError: As ``Run.results``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['row', 'seed', 'figure', 'value'])
    writer.writerows([run.row, run.seed, name, value] for run in runs for name, value in _figures(run).items())
    return text.getvalue()


def _figures(run: Run) -> dict[str, float]:
    return {name: value for result in run.results().values() for name, value in result['figures'].items()}


def _shown(value: Estimate) -> str:
    if math.isnan(value.mean):
        return '-'
    return f'{value.mean:.3f}' + ('' if math.isnan(value.half_width) else f' ± {value.half_width:.3f}')


def _shown_difference(value: Estimate) -> str:
    if math.isnan(value.mean):
        return '-'
    shown = f'{value.mean:+.3f}' + ('' if math.isnan(value.half_width) else f' ± {value.half_width:.3f}')
    return f'({shown})' if value.is_noise else shown
