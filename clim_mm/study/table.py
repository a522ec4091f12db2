"""The table of a study: a row of means for each kind of training, as text, as CSV and as pictures."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .figures import Figure
from .plot import draw_estimates
from .statistics import Estimate, estimate, paired_difference
from .study_file import Study


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
        comparisons: Paired differences of two rows by metric, such as ``comparisons['clim over moco']['knn_20_top1']``.
    """

    name: str
    baseline: str
    metrics: tuple[str, ...]
    cells: dict[str, dict[str, Cell]]
    comparisons: dict[str, dict[str, Estimate]] = field(default_factory=dict)

    def markdown(self) -> str:
        """Means with 95 % intervals, and below each row its paired difference to the baseline; then the comparisons."""
        lines = [f'| row | seeds | {" | ".join(self.metrics)} |', '|---|---|' + '---|' * len(self.metrics)]
        for row, cells in self.cells.items():
            number = max((cell.value.number for cell in cells.values()), default=0)
            lines.append(f'| **{row}** | {number} | {" | ".join(_shown(cells[m].value) for m in self.metrics)} |')
            if row != self.baseline:
                differences = ' | '.join(_shown_difference(cells[m].difference) for m in self.metrics)
                lines.append(f'| minus {self.baseline} | | {differences} |')
        lines += ['', 'Means over the seeds, with the half width of their 95 % interval (Student\'s t). Differences '
                  'are between trainings of the same seed; those in brackets have an interval with 0 in it, and may be '
                  'noise.']
        if self.comparisons:
            lines += ['', f'| difference | {" | ".join(self.metrics)} |', '|---|' + '---|' * len(self.metrics)]
            lines += [f'| {name} | {" | ".join(_shown_difference(differences[m]) for m in self.metrics)} |'
                      for name, differences in self.comparisons.items()]
        return '\n'.join(lines) + '\n'

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
        """Write a picture: a panel for each metric, a point with its interval for each row, a line at the baseline."""
        values = {row: {metric: cell.value for metric, cell in cells.items()} for row, cells in self.cells.items()}
        colors = {row: dict.fromkeys(self.metrics, 'tab:orange' if row == self.baseline else 'tab:blue')
                  for row in self.cells}
        lines = {metric: value.mean for metric, value in values[self.baseline].items()}
        draw_estimates(path, self.metrics, values, lines, colors)

    def draw_comparisons(self, path: str) -> None:
        """Write a picture of the comparisons, if there are any: a line at 0; what may be noise is gray."""
        if self.comparisons:
            colors = {name: {metric: 'silver' if value.is_noise else 'tab:blue' for metric, value in values.items()}
                      for name, values in self.comparisons.items()}
            draw_estimates(path, self.metrics, self.comparisons, dict.fromkeys(self.metrics, 0.0), colors)


def table_of(study: Study, figures: Sequence[Figure]) -> Table:
    """Put the figures of the runs together; what is not there yet is left out.

    Args:
        study: Rows, baseline, metrics and comparisons.
        figures: Of its runs.
    """
    by_row: dict[str, dict[str, dict[int, float]]] = {row.name: {metric: {} for metric in study.metrics}
                                                      for row in study.rows}
    for figure in figures:
        if figure.name in study.metrics:
            by_row[figure.row][figure.name][figure.seed] = figure.value

    def difference(row: str, other: str, metric: str) -> Estimate:
        return paired_difference(by_row[row][metric], by_row[other][metric])

    cells = {row: {metric: Cell(estimate(list(values.values())), difference(row, study.baseline, metric))
                   for metric, values in by_metric.items()} for row, by_metric in by_row.items()}
    comparisons = {f'{row} over {other}': {metric: difference(row, other, metric) for metric in study.metrics}
                   for row, other in study.comparisons}
    return Table(study.name, study.baseline, study.metrics, cells, comparisons)


def _shown(value: Estimate) -> str:
    if math.isnan(value.mean):
        return '-'
    return f'{value.mean:.3f}' + ('' if math.isnan(value.half_width) else f' ± {value.half_width:.3f}')


def _shown_difference(value: Estimate) -> str:
    if math.isnan(value.mean):
        return '-'
    shown = f'{value.mean:+.3f}' + ('' if math.isnan(value.half_width) else f' ± {value.half_width:.3f}')
    return f'({shown})' if value.is_noise else shown
