"""What a study compares: rows of configs, seeds, and how each training is evaluated."""

import os.path as osp
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from clim_mm.causes import machine_error
from clim_mm.checks import check_bool, check_choice, check_keys, check_list, check_whole
from clim_mm.errors import ConfigError, on_one_line

_ROW_NAME = re.compile(r'[\w.+-]+')


@dataclass(frozen=True)
class Row:
    """One kind of training: of a network, or of an evaluation.

    Attributes:
        name: Of the row, and of its folder.
        config: The config.
        options: Settings by dotted keys that override it.
    """

    name: str
    config: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Study:
    """Rows by seeds.

    Attributes:
        name: Of the study.
        rows: The first that is trained first.
        seeds: Each row is trained with each.
        baseline: Name of the row that the others are compared with.
        frozen: Whether the frozen features are measured, by kNN, probe and diagnostics.
        training: Evaluations that train; the top-1 accuracy at their end is what counts.
        metrics: Names of the figures in the table, in this order.
        options: Settings by dotted keys that override every pretraining config.
        comparisons: Pairs of rows; the table has the difference of the first over the second.
    """

    name: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    baseline: str
    frozen: bool
    training: tuple[Row, ...]
    metrics: tuple[str, ...]
    options: dict[str, Any]
    comparisons: tuple[tuple[str, str], ...] = ()


def read_study(path: str) -> Study:
    """Read a study file: a Python file of MMEngine's kind.

    ``rows`` is a dictionary of ``dict(config=..., options={...})``; ``seeds`` a list; ``baseline`` a row; ``frozen`` a
    switch, ``training`` a dictionary like ``rows``; ``metrics`` a list; ``options`` a dictionary;
    ``comparisons`` a list of pairs of rows. Names with an underscore before them are the file's own.

    Raises:
        ConfigError: If it cannot be read, or something in it is missing, misspelt or not there.
    """
    if not osp.isfile(path):
        raise ConfigError(f'There is no study {path}: the ones of this project are below configs/studies/.')
    try:
        raw = {name: value for name, value in Config.fromfile(path).to_dict().items() if not name.startswith('_')}
    except Exception as error:  # a config is code
        raise machine_error(error) or ConfigError(
            f'The study {path} cannot be read ({type(error).__name__}: {on_one_line(error)}): correct it.') from error
    check_keys(f'The study {path}', raw, required=['rows', 'seeds', 'baseline', 'metrics'],
               allowed=['frozen', 'training', 'options', 'comparisons'])
    check_list(f'seeds of {path}', raw['seeds'])
    for seed in raw['seeds']:
        check_whole(f'A seed of {path}', seed, least=0)
    if len(set(raw['seeds'])) < len(raw['seeds']):
        raise ConfigError(f'A seed stands twice in {path}: each training would count twice; take it out.')
    rows = tuple(_row(path, name, row) for name, row in raw['rows'].items())
    check_choice(f'baseline of {path}', raw['baseline'], [row.name for row in rows])
    check_bool(f'frozen of {path}', raw.get('frozen', True))
    return Study(
        name=osp.splitext(osp.basename(path))[0],
        rows=rows,
        seeds=tuple(raw['seeds']),
        baseline=raw['baseline'],
        frozen=raw.get('frozen', True),
        training=tuple(_row(path, name, row) for name, row in raw.get('training', {}).items()),
        metrics=tuple(raw['metrics']),
        options=dict(raw.get('options', {})),
        comparisons=_comparisons(path, raw.get('comparisons', []), [row.name for row in rows]))


def _row(path: str, name: str, row: Any) -> Row:
    if not _ROW_NAME.fullmatch(name):
        raise ConfigError(f'The row {name!r} of {path} cannot be a folder: use letters, digits and +-_. alone.')
    if not isinstance(row, Mapping):
        raise ConfigError(f'The row {name} of {path} must be dict(config=..., options=...), not {row!r}.')
    check_keys(f'The row {name} of {path}', row, required=['config'], allowed=['options'])
    _check_file(path, row['config'])
    return Row(name, row['config'], dict(row.get('options', {})))


def _comparisons(path: str, pairs: Any, rows: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
        raise ConfigError(f'comparisons of {path} must be a list of pairs of rows, not {pairs!r}.')
    for row in [row for pair in pairs for row in pair]:
        check_choice(f'A row in comparisons of {path}', row, rows)
    return tuple((row, other) for row, other in pairs)


def _check_file(path: str, config: str) -> None:
    if not osp.isfile(config):
        raise ConfigError(f'{path} names the config {config}, which does not exist: give a path from the folder that '
                          'you start the study in.')
