"""What the processes tell each other about unreadable images, and the list that a user reads."""

import logging
import os.path as osp

from mmengine import dist
from mmengine.logging import print_log

from clim_mm.checkpoints import write_atomically
from clim_mm.datasets import Quarantine
from clim_mm.distributed import host_group
from clim_mm.errors import CheckpointError


def share_quarantine(quarantine: Quarantine) -> None:
    """Give every process the images that any of them found unreadable."""
    for entries in dist.all_gather_object(quarantine.entries, group=host_group()):
        quarantine.add(entries)


def list_quarantine(quarantine: Quarantine, work_dir: str) -> None:
    """Write ``quarantine.txt``, if there is anything to write, and stop if there is too much.

    A list that cannot be written is warned of; checkpoints hold it, too.

    Raises:
        DataError: If too many images are unreadable; the list is there then.
    """
    if quarantine.entries and dist.is_main_process():
        try:
            write_atomically(osp.join(work_dir, 'quarantine.txt'), quarantine.listing().encode())
        except CheckpointError as error:
            print_log(f'The list of unreadable images is missing: {error}', logger='current', level=logging.WARNING)
    dist.barrier(group=host_group())  # a process that stops would take the writing one with it
    quarantine.check()
