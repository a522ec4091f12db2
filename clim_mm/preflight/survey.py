"""From a Runner that is about to train to the plan of its training."""

from pathlib import Path
from typing import Optional

from mmengine import dist
from mmengine.runner import Runner

from clim_mm.datasets.transforms.load_image import loader_of
from clim_mm.protocols import RefreshesNeighbors

from .facts import Facts
from .forecast import forecast
from .image_sample import sample_images, source_of
from .lr_rules import LrRule
from .machine import this_machine
from .measurements import measure
from .plan import Plan
from .rehearsal import untouched_randomness
from .resource_checks import check_resources
from .setting_checks import check_settings
from .settings import read_settings

NUM_IMAGES, SECONDS = 64, 10.0  # where nothing else is set [ours]
_FOR_IMAGES = 0.2  # share of the time


def survey(runner: Runner,
           neighbor_hook: Optional[RefreshesNeighbors] = None,
           processes: Optional[int] = None,
           checkpoints: Optional[str] = None,
           num_images: int = NUM_IMAGES,
           seconds: float = SECONDS,
           lr_rule: Optional[LrRule] = None) -> Plan:
    """Look at the images, measure a few steps, and plan the training. All processes call it together.

    Weights, statistics, queue, optimizer, random generators, dataset and DataLoader stay as they were.

    Args:
        runner: In ``before_train``, with a train loop by epochs and one optimizer.
        neighbor_hook: Which refreshes the neighbours, if one does.
        processes: Of the training that is planned. Defaults to those that run.
        checkpoints: The folder they go to. Defaults to the Runner's work dir.
        num_images: Images to open.
        seconds: For all measurements, about; each part is made once to warm up and twice to be measured nevertheless.
        lr_rule: Of the learning rate, for this kind of training; None for no check.

    Returns:
        The plan; complete on the first process.

    Raises:
        ConfigError: If the sizes of the neighbours do not fit the number of images, or a GPU of several processes
            has no memory for two images.
        TrainingError: If the model's loss is not finite.
        MissingDependencyError: If faiss is needed and missing.
    """
    settings = read_settings(runner, neighbor_hook, processes)
    device = next(runner.model.parameters()).device
    machine = this_machine(device, checkpoints or runner.work_dir)
    with untouched_randomness(device):
        dataset = runner.train_dataloader.dataset
        source, images = source_of(dataset), None
        if dist.is_main_process() and source is not None and 'img_path' in source.get_data_info(0):
            images = sample_images(source, num_images, runner.seed, _FOR_IMAGES * seconds, loader_of(dataset))
        from_first = [images]
        dist.broadcast_object_list(from_first)
        images = from_first[0]
        measured = measure(runner, settings, images, neighbor_hook, machine.cores, (1 - _FOR_IMAGES) * seconds)
    all_readable = images is None or not images.unreadable
    facts = Facts(settings, images, measured, forecast(settings, measured, machine.cores, all_readable), machine)
    name = Path(runner.cfg.filename).stem if runner.cfg.filename else runner.experiment_name
    return Plan(name, facts, (*check_settings(facts, lr_rule), *check_resources(facts)))
