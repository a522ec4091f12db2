"""Where the figures of a refresh go: the log, the visualizer's backends, and a JSON-lines file."""

import json
import os.path as osp

from mmengine.runner import Runner


def report_refresh(runner: Runner, report: dict[str, float], version: int) -> None:
    """Log a refresh.

    Args:
        runner: Whose log and visualizer are meant; its work dir gets a line in ``neighbors.jsonl``.
        report: Figures of :func:`clim_mm.neighbors.refresh.refresh`, and ``seconds_extract``.
        version: Of the table that the refresh is about to publish.
    """
    runner.logger.info(describe(report, runner.epoch))
    runner.visualizer.add_scalars({f'neighbors/{name}': value for name, value in report.items()}, step=runner.iter)
    with open(osp.join(runner.work_dir, 'neighbors.jsonl'), 'a') as file:
        file.write(json.dumps(dict(run=runner.timestamp, epoch=runner.epoch, version=version, **report)) + '\n')


def describe(report: dict[str, float], epoch: int) -> str:
    """The refresh in a sentence."""
    seconds = _with_prefix(report, 'seconds_')
    parts = ', '.join(f'{name} {value:.1f} s' for name, value in seconds.items())
    text = (f'Neighbours refreshed at epoch {epoch} in {sum(seconds.values()):.1f} s ({parts}): '
            f'{report["share_without_positive"]:.1%} of the images have no positive, '
            f'{report["empty_clusters"]:.0f} clusters are empty')
    purities = ', '.join(f'{name} {value:.3f}' for name, value in _with_prefix(report, 'purity_').items())
    return f'{text}, purity {purities}.' if purities else f'{text}.'


def _with_prefix(report: dict[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in report.items() if name.startswith(prefix)}
