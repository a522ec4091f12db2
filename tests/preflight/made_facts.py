"""Facts of a training in which nothing is wrong: the paper's, on GPUs; and the same with a difference."""

from dataclasses import replace

from clim_mm.neighbors.refresh_cost import SearchSpeed
from clim_mm.preflight.checks import Facts
from clim_mm.preflight.forecast import Machine, forecast
from clim_mm.preflight.measure import Measurements
from clim_mm.preflight.settings import RefreshSettings, Settings

GIB = 2**30

REFRESH = RefreshSettings(
    interval=5, begin=0, num_refreshes=40, num_clusters=10_000, num_neighbors=40, num_positives=10,
    strategy='center_wise', whitened=False, exact=True, nprobe=32, from_bank=False)

SETTINGS = Settings(
    num_images=1_281_167, batch_size=32, processes=16, local_processes=8, accumulation=1, steps=2502, max_epochs=200,
    start_epoch=0, num_workers=8, optimizer='SGD', lr=0.06, lr_rule=(0.06, 512), schedules=('CosineAnnealingLR', ),
    trainable_bytes=112_000_000, model_bytes=2 * 112_000_000 + 34_054_432, queue_len=65_536, momentum=0.999,
    leaks_positives=False, unit_values=False, checkpoint_interval=5, max_keep_ckpts=3, refresh=REFRESH)

MEASURED = Measurements(
    samples=64, load=0.04, compute=0.1 / 16, optimizer_bytes=112_000_000, activation_bytes=GIB / 4, load_view=0.01,
    encode=0.0005, dim=128, search=SearchSpeed(cluster=2e13, search=1e13, on_gpu=True), busy_cores=1)

MACHINE = Machine(cores=128, free_memory=400 * GIB, free_disk=900 * GIB, gpu='a GPU', gpu_memory=32 * GIB)


def facts(settings=None, refresh=None, measured=None, machine=None):
    """The facts, with other values for some fields of each part."""
    if refresh is not None:
        settings = dict(settings or {}, refresh=replace(REFRESH, **refresh))
    changed_settings = replace(SETTINGS, **(settings or {}))
    changed_measured = replace(MEASURED, **(measured or {}))
    changed_machine = replace(MACHINE, **(machine or {}))
    plan = forecast(changed_settings, changed_measured, changed_machine.cores)
    return Facts(changed_settings, changed_measured, plan, changed_machine)
