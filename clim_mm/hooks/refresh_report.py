"""Where the figures of a refresh go: the log, the visualizer's backends, and a JSON-lines file."""

import logging
import math

from mmengine.runner import Runner

from clim_mm.neighbors.refresh_health import judge_refresh

from .runner_parts import append_record


def report_refresh(runner: Runner, report: dict[str, float], version: int) -> None:
    """Log a refresh with a verdict, and append it to ``neighbors.jsonl`` in the work dir.

    Args:
        report: Figures of :func:`clim_mm.neighbors.refresh.refresh` and of the extraction.
        version: Of the table that the refresh is about to publish.
    """
    health = judge_refresh(report)
    runner.logger.log(
        logging.WARNING if health.is_bad else logging.INFO, f'{describe(report, runner.epoch)} {health.reason}')
    numbers = {name: value for name, value in report.items() if math.isfinite(value)}  # backends write NaN as it is
    runner.visualizer.add_scalars({f'neighbors/{name}': value for name, value in numbers.items()}, step=runner.iter)
    append_record(
        runner, 'neighbors.jsonl', version=version, **report, state=health.state, reason=health.reason)


def describe(report: dict[str, float], epoch: int) -> str:
    """The refresh in a sentence."""
    seconds = _with_prefix(report, 'seconds_')
    parts = ', '.join(f'{name} {value:.1f} s' for name, value in seconds.items())
    text = (f'Neighbours refreshed at epoch {epoch} in {sum(seconds.values()):.1f} s ({parts}): '
            f'{report["share_without_positive"]:.1%} of the images have no positive, '
            f'{report["empty_clusters"]:.0f} of {report["num_clusters"]:.0f} clusters are empty, the largest holds '
            f'{report["largest_cluster"]:.1%} of the images (balance {report["cluster_balance"]:.2f} of 1)')
    if report.get('share_with_copy'):
        text += f', {report["share_with_copy"]:.1%} of the images have one with the same features'
    if 'recall' in report:
        text += (f', {report["recall"]:.2%} of the neighbours of a sample are found in {report["nprobe"]:.0f} clusters'
                 if report['nprobe'] else f', each image was compared with all, since few clusters did not do '
                 f'(recall {report["recall"]:.2%})')
    if 'bank_never_seen' in report:
        text += f', {report["bank_never_seen"]:.1%} of the images had no key in the bank'
        if math.isfinite(report['bank_age']):
            text += f', the keys of the others are {report["bank_age"]:.1f} epochs old'
    changed = report.get('positives_changed', math.nan)
    if math.isfinite(changed):
        text += f', {changed:.1%} of the positives are new'
    purities = ', '.join(f'{name} {value:.3f}' for name, value in _with_prefix(report, 'purity_').items())
    return f'{text}, purity {purities}.' if purities else f'{text}.'


def _with_prefix(report: dict[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in report.items() if name.startswith(prefix)}
