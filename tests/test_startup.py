"""The collector stands still, and runs again if it did."""

import gc

import pytest

from clim_mm.startup import collector_stopped


def test_it_runs_again_even_after_an_error():
    with pytest.raises(ImportError), collector_stopped():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_whoever_had_stopped_it_finds_it_stopped():
    gc.disable()
    try:
        with collector_stopped():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
