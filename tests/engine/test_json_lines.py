"""Records that any JSON reader can read."""

import json
import math

from clim_mm.engine.json_lines import append_json_line


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
