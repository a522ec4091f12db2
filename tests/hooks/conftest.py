"""The images of the tests."""

import clim_mm  # noqa: F401  (first, see tests/export/conftest.py)

# isort: split
import pytest
from colored_images import write_colored
from training_runs import N, write_images


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Four class folders of six noisy images each; the classes differ in colour."""
    root = tmp_path_factory.mktemp('data') / 'images'
    write_images(root, N)
    return root


@pytest.fixture
def paths(tmp_path):
    """Of N images, each of a colour of its own."""
    return write_colored(tmp_path / 'images', N)
