"""Datasets are built under this package's scope, whatever a test before has left as the default."""

import clim_mm  # noqa: F401  (first, see tests/export/conftest.py)

# isort: split
import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def default_scope():
    with DefaultScope.overwrite_default_scope('clim_mm'):
        yield
