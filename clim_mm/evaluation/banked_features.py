"""Features of a refresh from the bank of keys: only images that it has no key of are extracted."""

import math
import os.path as osp
import time
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
from mmengine import dist
from mmengine.runner import Runner

from clim_mm.datasets import Quarantine
from clim_mm.distributed import host_group
from clim_mm.errors import CheckpointError, UserError
from clim_mm.neighbors.key_bank import KeyBank


def open_bank(runner: Runner, num_images: int, dim: int, identity: Optional[str] = None,
              num_averaged: int = 1) -> Optional[KeyBank]:
    """The bank in ``key_bank`` of the work dir. All processes call it together.

    Args:
        num_images, dim: N and C.
        identity: Of the bank that belongs to the checkpoint of a resumed run; any other makes room for an empty one.
            None begins an empty one.

    Returns:
        On rank 0; None on the others.
    """
    bank, verdict = None, ['']
    if dist.is_main_process():
        try:
            bank = _open(runner, num_images, dim, identity, num_averaged)
        except UserError as error:  # the others must not wait for this process
            verdict = [str(error)]
    dist.broadcast_object_list(verdict, group=host_group())
    if verdict[0]:
        raise CheckpointError(verdict[0])
    return bank


def _open(runner: Runner, num_images: int, dim: int, identity: Optional[str], num_averaged: int) -> KeyBank:
    folder = osp.join(runner.work_dir, 'key_bank')
    if identity is not None:
        if KeyBank.exists(folder):
            bank = KeyBank.open(folder, num_images, dim, num_averaged)
            if bank.identity == identity:
                bank.forget_after(runner.epoch)  # the keys of the epoch that was broken off stay
                return bank
        runner.logger.warning(f'The key bank of the checkpoint is not in {folder}: it begins empty, and the features '
                              'of images without a key are extracted.')
    return KeyBank.create(folder, num_images, dim, num_averaged)


def banked_features(bank: Optional[KeyBank], epoch: int, quarantine: Quarantine,
                    extract: Callable[[Optional[np.ndarray]], Optional[np.ndarray]],
                    logger: Any) -> tuple[Optional[np.ndarray], dict[str, float]]:
    """Features of all images. All processes call it together, and share their quarantines before.

    Args:
        epoch: That is about to begin.
        quarantine: Of unreadable images, which are not extracted.
        extract: From ids, (n,) int64 ascending, or None for all images, to (N, C) float32 features on rank 0, of which
            the rows of these images count; None on the others.

    Returns:
        (N, C) float32, L2-normalised, on rank 0, None on the others; the rows of unreadable images are NaN. And figures
        for the report: ``seconds_extract`` and ``seconds_bank``, ``bank_never_seen``, the share of the readable images
        that were extracted, and ``bank_age``, the mean number of epochs since the others' keys were computed: 1 for
        those of the epoch before; NaN if there are none.
    """
    message: list[Any] = [None]
    start = time.perf_counter()
    if bank is not None:
        unseen, readable = bank.never_seen(), quarantine.readable
        if unseen[readable].any():
            logger.info(f'The key bank has no key of {unseen[readable].sum()} of {len(readable)} readable images, '
                        'since no step has trained on them yet: their features are extracted.')
        # All of them: as without a bank, in the same batches.
        message = [None if unseen[readable].all() else readable[unseen[readable]]]
    dist.broadcast_object_list(message, group=host_group())
    ids = message[0]
    before = time.perf_counter()
    extracted = extract(ids) if ids is None or len(ids) else None
    seconds_extract = time.perf_counter() - before
    if bank is None:
        return None, {}
    features = bank.features()
    if extracted is not None:
        np.copyto(features, extracted, where=unseen[:, None])  # without a copy of the rows between
    held = np.ones(len(features), dtype=bool)
    held[quarantine.readable] = False  # also those that the extraction has come upon
    features[held] = np.nan
    ages = epoch - bank.epochs[~unseen & ~held]
    report = dict(
        seconds_extract=seconds_extract,
        seconds_bank=time.perf_counter() - start - seconds_extract,
        bank_never_seen=float(unseen[readable].mean()),
        bank_age=float(ages.mean()) if len(ages) else math.nan)
    return features, report
