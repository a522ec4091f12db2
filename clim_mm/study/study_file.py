"""What a study compares: rows of configs, seeds, and how each training is evaluated."""

import os.path as osp
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from clim_mm.checks import check_choice, check_keys, check_list, check_whole
from clim_mm.config_file import load_config
from clim_mm.errors import ConfigError


class Row(NamedTuple):
    """One kind of training, of a network or of an evaluation: a config, and options that override it by dotted keys."""

    name: str
    config: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Study:
    """Rows by seeds."""

    name: str
    rows: tuple[Row, ...]  # pretrainings, each with every seed
    seeds: tuple[int, ...]
    baseline: str  # name of the row that the others are compared with
    frozen: bool  # whether the frozen features are measured, by ``tools/evaluate.py figures``
    training: tuple[Row, ...]  # evaluations that train; the top-1 accuracy at their end is what counts
    metrics: tuple[str, ...]  # names of the figures in the table, in this order
    options: dict[str, Any]  # override every pretraining config, by dotted keys
    comparisons: tuple[tuple[str, str], ...] = ()  # rows; the table has the difference of the first over the second


def read_study(path: str) -> Study:
    """Read a study file: a Python file of MMEngine's kind, whose names are those of :class:`Study`.

    ``rows`` and ``training`` are dictionaries of ``dict(config=..., options={...})`` by name; ``training``,
    ``frozen`` (True), ``options`` and ``comparisons`` may be left out. Names that begin with an underscore are the
    file's own.
    """
    raw = {name: value for name, value in load_config(path).to_dict().items()
           if not name.startswith('_') and name not in ('launcher', 'work_dir')}
    check_keys(f'The study {path}', raw, required=['rows', 'seeds', 'baseline', 'metrics'],
               allowed=['frozen', 'training', 'options', 'comparisons'])
    raw = dict(dict(frozen=True, training={}, options={}, comparisons=[]), **raw)
    check_list(f'seeds of {path}', raw['seeds'])
    for seed in raw['seeds']:
        check_whole(f'A seed of {path}', seed, least=0)
    if len(set(raw['seeds'])) < len(raw['seeds']):
        raise ConfigError(f'A seed stands twice in {path}: take it out.')
    check_choice(f'baseline of {path}', raw['baseline'], raw['rows'])
    for pair in raw['comparisons']:
        if len(pair) != 2 or not set(pair) <= set(raw['rows']):
            raise ConfigError(f'comparisons of {path} must be pairs of rows, and {pair!r} is none.')
    return Study(osp.splitext(osp.basename(path))[0], _rows(path, raw['rows']), tuple(raw['seeds']), raw['baseline'],
                 raw['frozen'], _rows(path, raw['training']), tuple(raw['metrics']), raw['options'],
                 tuple((row, other) for row, other in raw['comparisons']))


def _rows(path: str, rows: Mapping[str, Any]) -> tuple[Row, ...]:
    for name, row in rows.items():
        check_keys(f'The row {name} of {path}', row, required=['config'], allowed=['options'])
    return tuple(Row(name, row['config'], dict(row.get('options', {}))) for name, row in rows.items())
