"""Pretrain on a folder of images: look, choose, write the config, train, export, report."""

import os
import os.path as osp
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

from clim_mm.checkpoints import latest_checkpoint, write_atomically
from clim_mm.checks import check_number, check_whole
from clim_mm.config_file import load_config
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.export import export
from clim_mm.launch.planning import make_plan
from clim_mm.neighbors.faiss_backend import available_cores
from clim_mm.preflight.forecast import duration
from clim_mm.report.report import BACKBONE, TRAINING, write_report

from .folder_survey import FolderSurvey, survey_folder
from .hours import Cost, fitted, forecast_seconds
from .machine import computes_in_bf16, usable_gpus
from .plan_file import PLAN, Planned, add_spent, read_happened, read_plan, write_plan
from .recipe import MOST_EPOCHS, Recipe, affordable, candidates
from .recipe_config import config_text
from .training_output import followed

CONFIG, LOG = 'config.py', 'training.log'
_FOR_MEASURING = 4.0  # seconds for each recipe that is tried [ours]
_AROUND = 20.0  # seconds that the start of a training and the export take, about [ours]


class Pretrained(NamedTuple):
    """What a pretraining has left: its folder, and in it the config, the last checkpoint, the backbone, the report."""

    folder: str
    config: str
    checkpoint: str
    backbone: str
    report: str


def pretrain(folder: str, out: Optional[str] = None, hours: Optional[float] = None, epochs: Optional[int] = None,
             method: str = 'clim', arch: Optional[str] = None, size: Optional[int] = None, gpus: Optional[int] = None,
             say: Callable[[str], None] = print) -> Pretrained:
    """Pretrain an image encoder on all images below a folder; the same call again goes on where it was broken off.

    Args:
        folder: Of images, at any depth, without labels.
        out: Where everything goes. None: ``work_dirs/pretrain_NAME`` by the folder's name.
        hours: How long it may take in all; network, views and epochs are chosen to fit.
        epochs: How long to train; or this.
        method: Of ``METHODS``.
        arch, size: Network, and side of the largest views in pixels. None chooses.
        gpus: None takes all; 0 trains on the CPU.
        say: Takes what a user should know, a line at a time.

    Raises:
        ConfigError, DataError: Of what does not fit, before anything is written.
        TrainingError: If the training has ended before its time; what is there is kept.
    """
    start = time.perf_counter()
    if (hours is None) == (epochs is None):
        raise ConfigError('Give either hours, as in --hours 8, or epochs, as in --epochs 100.')
    check_number('--hours', hours, above=0, optional=True)
    check_whole('--epochs', epochs, least=1, most=MOST_EPOCHS, optional=True)
    out = out or osp.join('work_dirs', f'pretrain_{osp.basename(osp.abspath(folder))}')
    gpus = usable_gpus(gpus)
    request = dict(folder=osp.abspath(folder), hours=hours, epochs=epochs, method=method, arch=arch, size=size,
                   gpus=gpus)
    planned = read_plan(out, request)
    if planned is None:
        survey = survey_folder(folder)
        _say_all(say, 'Images', survey.lines())
        survey.check_enough()
        recipes = candidates(osp.abspath(folder), survey.num_readable, survey.short_side, method, available_cores(),
                             gpus, computes_in_bf16(gpus), arch, size)
        if epochs is not None:
            planned = Planned(affordable(recipes, gpus).lasting(epochs), None)
        else:
            planned = _planned(recipes, lambda: 3600 * (hours or 0) - _AROUND - (time.perf_counter() - start))
        _begin(out, request, planned, survey)
    else:
        say(f'Going on in {out}.')
    recipe = planned.recipe
    _say_all(say, 'Plan', [*recipe.lines(), *([] if planned.seconds is None else
                                              [f'about {duration(planned.seconds)} of training'])])
    checkpoint = _train(out, recipe, say)
    backbone = osp.join(out, BACKBONE)
    exported = export(checkpoint, 'safetensors', backbone, force=True)
    report = write_report(out, read_happened(out))
    say(f'Trained {exported.header["epochs"]} epochs in {duration(time.perf_counter() - start)}: {backbone} is the '
        f'backbone, {recipe.dim} numbers for an image; {report} shows what it has learned.')
    return Pretrained(out, osp.join(out, CONFIG), checkpoint, backbone, report)


def _say_all(say: Callable[[str], None], title: str, lines: list[str]) -> None:
    say('\n  '.join([f'{title}:', *lines]))


def _planned(recipes: Any, seconds: Callable[[], float]) -> Planned:
    recipe, cost = fitted(recipes, seconds, measure)
    return Planned(recipe, forecast_seconds(recipe, cost))


def measure(recipe: Recipe) -> Cost:
    """Seconds of an epoch and of a refresh of a recipe, by some samples and some steps."""
    with tempfile.TemporaryDirectory() as folder:
        path = osp.join(folder, CONFIG)
        # The refreshes are measured with the training, which must have one.
        write_atomically(path, config_text(recipe.lasting(10)).encode())
        forecast = make_plan(load_config(path, folder), recipe.processes, seconds=_FOR_MEASURING).facts.forecast
    if forecast.epoch is None:
        raise TrainingError(f'No step of {recipe.method} with {recipe.arch} and views of {recipe.size} pixels could be '
                            'made here: give another --arch or a smaller --size.')
    return Cost(forecast.epoch, 0.0 if forecast.refresh is None else forecast.refresh.seconds)


def _begin(out: str, request: dict[str, Any], planned: Planned, survey: FolderSurvey) -> None:
    """Write the config, then the plan, which says that all is there."""
    os.makedirs(out, exist_ok=True)
    if others := [name for name in os.listdir(out) if name not in (CONFIG, PLAN)]:
        raise ConfigError(f'{out} has other files in it already, such as {others[0]}: give another --out.')
    write_atomically(osp.join(out, CONFIG), config_text(planned.recipe).encode())
    write_plan(out, request, planned, dict(images=survey.num_images, unreadable=survey.unreadable,
                                           copies=survey.copies, formats=survey.formats))


def _train(out: str, recipe: Recipe, say: Callable[[str], None]) -> str:
    """Train in processes of their own, or go on with it, and give the last checkpoint."""
    config, work_dir = osp.join(out, CONFIG), osp.join(out, TRAINING)
    words = ['-m', 'clim_mm', 'train', config, '--work-dir', work_dir]
    words += ['--resume'] if latest_checkpoint(work_dir) else []
    launch = [sys.executable]
    if recipe.processes > 1:
        launch += ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(recipe.processes)]
        words += ['--launcher', 'pytorch']
    start = time.perf_counter()
    status = followed([*launch, *words], osp.join(out, LOG), recipe.epochs, say)
    add_spent(out, time.perf_counter() - start)
    checkpoint = latest_checkpoint(work_dir)
    if status != 0 or checkpoint is None:
        raise TrainingError(f'The training has ended with status {status}: see {osp.join(out, LOG)}; the same command '
                            'goes on from the last checkpoint, if one was written.')
    return checkpoint
