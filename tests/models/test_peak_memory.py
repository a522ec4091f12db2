"""The benchmarks' peak memory, of something whose size is known."""

from pathlib import Path

import pytest
import torch


@pytest.fixture
def peak_bytes_of(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / 'tools' / 'benchmarks')
    from peak_memory import peak_bytes_of
    return peak_bytes_of


@pytest.mark.parametrize('parts', [1, 40])
def test_what_is_taken_and_given_back_is_the_peak_each_time(peak_bytes_of, parts):
    def take():
        return [torch.ones(2**26 // 4 // parts) for _ in range(parts)]  # 64 MiB

    for _ in range(3):
        found = peak_bytes_of(take, torch.device('cpu'))
        if found is not None:  # systems that do not tell
            assert found == pytest.approx(2**26, rel=0.1)
