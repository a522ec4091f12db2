"""What ``clim-mm`` says before any verb begins."""

import sys

import pytest
from forked import ROOT

import clim_mm
from clim_mm.cli import main as cli


def said_by(monkeypatch, capsys, *words):
    """What is printed, and the exit status or the error."""
    monkeypatch.setattr(sys, 'argv', ['clim-mm', *words])
    try:
        cli.main()
        status = 0
    except SystemExit as ended:
        status = ended.code
    return capsys.readouterr().out, status


def test_help_names_every_verb(monkeypatch, capsys):
    said, status = said_by(monkeypatch, capsys, '--help')
    assert status == 0 and all(f'  {verb} ' in said for verb in cli.VERBS)
    assert said_by(monkeypatch, capsys) == (said, 2)
    assert said_by(monkeypatch, capsys, '--version') == (f'{clim_mm.__version__}\n', 0)


def test_an_unknown_verb(monkeypatch, capsys):
    assert said_by(monkeypatch, capsys, 'duplicate')[1] == (
        "Error: 'duplicate' is no verb of clim-mm (did you mean 'duplicates'?): clim-mm --help lists them.")


@pytest.mark.parametrize('verb', sorted(cli.VERBS))
def test_every_verb_has_a_door(verb):
    tool = cli._TOOLS.get(verb)
    path = ROOT / 'tools' / f'{tool}.py' if tool else ROOT / 'clim_mm' / 'cli' / f'{verb}.py'
    assert 'def main() -> None:' in path.read_text()
