"""Pictures of a study: estimates with their intervals, a panel for each metric."""

import math
from collections.abc import Mapping, Sequence

from clim_mm.picture_file import write_picture

from .statistics import Estimate


def draw_estimates(path: str,
                   metrics: Sequence[str],
                   estimates: Mapping[str, Mapping[str, Estimate]],
                   lines: Mapping[str, float],
                   colors: Mapping[str, Mapping[str, str]]) -> None:
    """Write a picture: a panel for each metric, a point with its interval for each row.

    Args:
        path: Of the PNG.
        metrics: Names of the panels.
        estimates: By row, then by metric.
        lines: Where each metric's panel has its upright line.
        colors: Of the points, by row, then by metric.
    """
    from matplotlib.figure import Figure  # here: a study without pictures need not wait for it

    figure = Figure(
        figsize=(1.2 + 0.08 * max(map(len, estimates)) + 2.6 * len(metrics), 1.4 + 0.3 * len(estimates)),
        layout='constrained')
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        for place, (row, by_metric) in enumerate(estimates.items()):
            value = by_metric[metric]
            width = 0.0 if math.isnan(value.half_width) else value.half_width
            axes.errorbar(value.mean, place, xerr=width, fmt='o', color=colors[row][metric], capsize=3, markersize=4)
        axes.axvline(lines[metric], color='tab:orange', linewidth=0.8, zorder=0)
        axes.set(title=metric, yticks=range(len(estimates)), yticklabels=list(estimates))
        axes.locator_params(axis='x', nbins=4)  # more would stand one upon another
        axes.grid(axis='x', alpha=0.3)
    panels[0].invert_yaxis()
    write_picture(figure, path)
