"""Imports every hook, so that configs can name it."""

from . import (  # noqa: F401
    center_wise_neighbor_hook,
    checkpoint_guard_hook,
    optimizer_step_hook,
    oracle_positives_hook,
    preflight_hook,
    pretrained_backbone_hook,
    queue_hook,
    refresh_reports,
    training_set_hooks,
    upkeep_hooks,
    watchdog_hook,
)
