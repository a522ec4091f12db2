"""The installed mmcv as its pure-Python build has it: the same files, without the compiled operators."""

import os
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]


def write_pure_python_mmcv(folder: Path) -> None:
    """Put it into ``folder/mmcv``, by links; with ``folder`` in front of PYTHONPATH a process finds it."""
    (installed, ) = find_spec('mmcv').submodule_search_locations
    (folder / 'mmcv').mkdir(parents=True)
    for name in os.listdir(installed):
        if not name.startswith('_ext') and name != '__pycache__':
            (folder / 'mmcv' / name).symlink_to(os.path.join(installed, name))
