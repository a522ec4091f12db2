"""Imports every hook, so that configs can name it."""

from . import (  # noqa: F401
    center_wise_neighbor_hook,
    checkpoint_guard_hook,
    epoch_randomness_hook,
    history_hook,
    knn_hook,
    loader_watch_hook,
    manifest_hook,
    neighbor_page_hook,
    preflight_hook,
    pretrained_backbone_hook,
    quarantine_hook,
    queue_hook,
    watchdog_hook,
)
