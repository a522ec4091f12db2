"""What is free, by Linux's files."""

import os
import shutil

import pytest
import torch

from clim_mm.preflight.machine import available_memory, free_disk, this_machine

MEMINFO = 'MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   22000000 kB\nBuffers: 5 kB\n'
KIB = 1024


@pytest.mark.parametrize('limit, used, statistics, expected', [
    ('', '', '', 22_000_000 * KIB),
    ('max\n', '100\n', '', 22_000_000 * KIB),
    ('8000\n', '3000\n', 'file 2000\ninactive_file 1000\nactive_file 7\n', 6000),
    ('8000\n', '9000\n', '', 0),
    (f'{30_000_000 * KIB}\n', '0\n', '', 22_000_000 * KIB),
])
def test_the_smaller_of_machine_and_container(limit, used, statistics, expected):
    assert available_memory(MEMINFO, limit, used, statistics) == expected


def test_a_system_that_does_not_tell():
    assert available_memory('') is None
    assert available_memory('', '8000', '3000') == 5000


def test_free_disk_of_a_folder_to_come(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    assert free_disk(str(tmp_path / 'not' / 'there' / 'yet')) == pytest.approx(free, rel=0.1)
    assert free_disk('s3://bucket/folder') is None and free_disk('s3:bucket') is None


def test_this_machine(tmp_path):
    machine = this_machine(torch.device('cpu'), str(tmp_path))
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.gpu is None and machine.gpu_memory is None
    assert machine.free_disk == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    assert 0 < machine.free_memory <= total
