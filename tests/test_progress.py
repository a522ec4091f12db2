"""The progress bar: live on a terminal, rare in a log, none for short work or where it is not wanted."""

import io
import sys
import time

import pytest

from clim_mm.progress import progress_bar


class Stream(io.StringIO):
    """A stderr that is a terminal or not."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):  # noqa: D102
        return self.terminal


@pytest.mark.parametrize('terminal, interval', [(True, 0.2), (False, 30.0)])
def test_how_often(monkeypatch, terminal, interval):
    stream = Stream(terminal)
    monkeypatch.setattr(sys, 'stderr', stream)
    bar = progress_bar(range(3), desc='extract', unit='batch')
    assert (bar.mininterval, bar.delay, bar.disable) == (interval, 2.0, False)
    assert list(bar) == [0, 1, 2]
    assert stream.getvalue().strip() == '', 'short work shows none'


@pytest.mark.e2e
def test_long_work_shows_one_on_a_terminal(monkeypatch):
    stream = Stream(True)
    monkeypatch.setattr(sys, 'stderr', stream)
    with progress_bar(total=4, desc='search', unit='query') as bar:
        time.sleep(2.05)
        bar.update(4)
    assert 'search: 100%' in stream.getvalue() and '4/4' in stream.getvalue()


def test_it_can_be_left_out(monkeypatch):
    stream = Stream(True)
    monkeypatch.setattr(sys, 'stderr', stream)
    with progress_bar(total=4, show=False) as bar:
        assert bar.disable
        bar.update(4)
    assert list(progress_bar(range(3), show=False)) == [0, 1, 2]
    assert stream.getvalue() == ''
