"""Warnings that thousands of images would give, given once."""

import logging

from mmengine import dist
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

_told: set[str] = set()


def tell_once(topic: str, sentence: str) -> None:
    """Log a warning, the first time about its topic.

    Of several processes, and of a DataLoader's workers, only the first tells.
    """
    worker = get_worker_info()
    if topic not in _told and dist.is_main_process() and (worker is None or worker.id == 0):
        _told.add(topic)
        print_log(sentence, logger='current', level=logging.WARNING)
