"""Records that any JSON reader can read."""

import json
import math
import resource
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import VISBACKENDS, DefaultScope
from toy_runs import NUMBERS

from clim_mm.checkpoints.atomic_write import append_json_line


def refuse(constant):
    raise AssertionError(f'{constant} is no JSON')


def test_lines_are_appended(tmp_path):
    path = tmp_path / 'lines.jsonl'
    append_json_line(str(path), dict(run='a', value=0.5))
    assert path.read_bytes() == b'{"run": "a", "value": 0.5}\n'
    append_json_line(str(path), dict(run='b', reason='Pr\u00fcfung "1"\n'))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        dict(run='a', value=0.5), dict(run='b', reason='Pr\u00fcfung "1"\n')]


def test_what_json_does_not_know_is_null(tmp_path):
    path = tmp_path / 'lines.jsonl'
    append_json_line(str(path), dict(a=math.nan, b=math.inf, c=-math.inf, d=0.0, e=3))
    assert json.loads(path.read_text(), parse_constant=refuse) == dict(a=None, b=None, c=None, d=0.0, e=3)


def test_numbers_of_torch_and_numpy(tmp_path):
    path = tmp_path / 'lines.jsonl'
    append_json_line(str(path), dict(a=torch.tensor(0.5), b=np.float32('nan'), c=np.array([1.0, math.inf]), d=(1, 2)))
    assert json.loads(path.read_text(), parse_constant=refuse) == dict(a=0.5, b=None, c=[1.0, None], d=[1, 2])


@pytest.fixture
def warnings():
    """The warnings of MMEngine's current logger so far."""
    logger, said = MMLogger.get_instance(f'json_lines_{next(NUMBERS)}'), []

    def note(record):
        if record.levelname == 'WARNING':
            said.append(record.getMessage())
        return True

    logger.addFilter(note)
    return said


@contextmanager
def no_file_larger_than(size):
    """A write beyond it ends as on a full disk: in the middle of a line, and the next with an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=['append_json_line', 'LocalVisBackend'])
def append(request, tmp_path):
    """Append a number to ``scalars.json``: ``append(1)``."""
    if request.param == 'append_json_line':
        return lambda value: append_json_line(str(tmp_path / 'scalars.json'), dict(value=value))
    with DefaultScope.overwrite_default_scope('clim_mm'):
        backend = VISBACKENDS.build(dict(type='LocalVisBackend', save_dir=str(tmp_path)))
    return lambda value: backend.add_scalars(dict(value=value))


def values_in(path):
    return [json.loads(line)['value'] for line in path.read_text().splitlines()]


def test_a_full_disk_costs_whole_records_and_a_warning(tmp_path, append, warnings):
    path = tmp_path / 'scalars.json'
    append(0)
    size = path.stat().st_size
    for outage in (1, 2):
        with no_file_larger_than(path.stat().st_size + size // 2):
            append(10)
            append(11)
        assert values_in(path) == list(range(outage)), 'whoever reads meanwhile finds no half record'
        assert len(warnings) == 2 * outage
        assert warnings[-1].startswith(f'A record is missing in {path} (') and warnings[-1].endswith('goes on without.')
        append(outage)
    with no_file_larger_than(path.stat().st_size):
        append(12)
    assert values_in(path) == [0, 1, 2]
    assert '(File too large)' in warnings[-1]


@pytest.mark.parametrize('left', [b'{"value": 7', b'\0' * 70_000, b'{"value": 7}\n{"valu', b''])
def test_half_a_record_makes_room_for_the_next(tmp_path, append, left):
    (tmp_path / 'scalars.json').write_bytes(left)
    append(1)
    assert values_in(tmp_path / 'scalars.json') == [7] * left.count(b'}\n') + [1]


def test_a_folder_in_the_place_of_the_file_costs_a_warning(tmp_path, append, warnings):
    (tmp_path / 'scalars.json').mkdir()
    append(1)
    append(2)
    assert len(warnings) == 2 and 'Is a directory' in warnings[0]
