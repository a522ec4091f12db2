"""The images of the tests with Runners."""

import clim_mm  # noqa: F401  (first, see tests/export/conftest.py)

# isort: split
import pytest
from training_runs import N, write_images


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Four class folders of six noisy images each, 24 wide and 20 high; PNG, 8-bit colour."""
    root = tmp_path_factory.mktemp('data') / 'images'
    write_images(root, N)
    return root
