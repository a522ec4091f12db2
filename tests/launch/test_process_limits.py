"""What a process frees, and takes again."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e

STEPS = """
import resource, sys
import torch
from clim_mm.launch.commands import keep_memory
if sys.argv[1] == 'keep':
    keep_memory()
def step():
    return [torch.ones(16, 2**20) for _ in range(2)]  # of 64 MiB each
for _ in range(8):  # until all of what was asked for at once has been used
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(argument: str) -> int:
    run = subprocess.run([sys.executable, '-c', STEPS, argument], capture_output=True, text=True, check=True)
    return int(run.stdout)


def test_blocks_are_used_again():
    otherwise = new_pages('')  # all that four steps write: 131,072 pages of 4 KiB, or fewer of larger ones
    assert otherwise >= 256 and new_pages('keep') < otherwise / 4
