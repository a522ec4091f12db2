"""Facts of a training in which nothing is wrong: the paper's, on GPUs; and the same with a difference."""

from dataclasses import replace

from clim_mm.neighbors.refresh_cost import SearchSpeed
from clim_mm.preflight.checks import Facts
from clim_mm.preflight.forecast import forecast
from clim_mm.preflight.image_sample import ImageSample
from clim_mm.preflight.machine import Machine
from clim_mm.preflight.measure import Extraction, Loading, Measurements, Step
from clim_mm.preflight.settings import ModelSizes, RefreshSettings, Schedule, Settings

GIB = 2**30
COSINE = Schedule('CosineAnnealingLR', by_epoch=True, begin=0, end=200, cosine_ends=200)

REFRESH = RefreshSettings(
    interval=5, begin=0, num_refreshes=40, num_clusters=10_000, num_neighbors=40, num_positives=10,
    strategy='center_wise', exact=True, nprobe=32, layer='embedding', from_bank=False, num_workers=8)

SETTINGS = Settings(
    num_images=1_281_167, batch_size=32, processes=16, local_processes=8, accumulation=1, steps=2502, max_epochs=200,
    start_epoch=0, num_workers=8, optimizer='SGD', lr=0.06, schedules=(COSINE, ), model='CLIM',
    model_sizes=ModelSizes(trainable=112_000_000, momentum_encoder=112_000_000, queue=33_554_432, other=500_000),
    batch_norm=True, queue_len=65_536, key_dim=128, momentum=0.999, bn_splits=None,
    checkpoint_interval=5, max_keep_ckpts=3, refresh=REFRESH)

MEASURED = Measurements(
    loading=Loading(samples=7, seconds=0.04),
    step=Step(images=16, steps=5, seconds=0.1, slowest=1.2, optimizer_bytes=112_000_000, activation_bytes=4 * GIB),
    extraction=Extraction(images=8, load=0.01, encode=0.0005, dim=128),
    search=SearchSpeed(cluster=2e13, search=1e13, on_gpu=True),
    busy_cores=1)

IMAGES = ImageSample(
    opened=64, smallest=(75, 60), largest=(4000, 3000), mean_bytes=110_000.0,
    read_seconds=0.0002, readable_ids=tuple(range(64)))

MACHINE = Machine(cores=128, free_memory=400 * GIB, free_disk=900 * GIB, gpu='a GPU', gpu_memory=32 * GIB)


def facts(settings=None, refresh=None, measured=None, images=IMAGES, machine=None):
    """The facts, with other values for some fields of each part; ``images`` in place of all of them."""
    if refresh is not None:
        settings = dict(settings or {}, refresh=replace(REFRESH, **refresh))
    changed_settings = replace(SETTINGS, **(settings or {}))
    changed_measured = replace(MEASURED, **(measured or {}))
    changed_machine = replace(MACHINE, **(machine or {}))
    all_readable = images is None or not images.unreadable
    plan = forecast(changed_settings, changed_measured, changed_machine.cores, all_readable)
    return Facts(changed_settings, images, changed_measured, plan, changed_machine)
