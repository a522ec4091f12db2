"""The images of the hook's tests."""

import pytest
from training_runs import N, write_images


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Four class folders of six noisy images each; the classes differ in colour."""
    root = tmp_path_factory.mktemp('data') / 'images'
    write_images(root, N)
    return root
