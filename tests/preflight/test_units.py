"""Numbers for people."""

import pytest

from clim_mm.preflight.units import amount, counted, duration


@pytest.mark.parametrize('seconds, text', [
    (None, 'unknown'), (0, '0 ms'), (0.01234, '12 ms'), (0.351, '351 ms'), (1, '1 s'), (1.25, '1.2 s'), (59, '59 s'),
    (89, '89 s'),
    (90, '1.5 min'), (4245, '71 min'), (5400, '1.5 h'), (100 * 3600, '4.2 d'), (365 * 86400, '365 d')
])
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize('number, text', [
    (None, 'unknown'), (0, '0 bytes'), (999, '999 bytes'), (1000, '0.98 KiB'), (1536, '1.5 KiB'),
    (655_957_504, '626 MiB'), (2**30 * 1.25, '1.2 GiB'), (2**50, '1024 TiB')
])
def test_amount(number, text):
    assert amount(number) == text


def test_counted():
    assert counted(1, 'image') == '1 image'
    assert counted(1442, 'image') == '1,442 images'
    assert counted(2, 'process', 'processes') == '2 processes'
