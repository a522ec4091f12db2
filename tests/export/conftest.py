"""A pretrained ResNet-18 and its checkpoint, for the tests of the export."""

import sys

import clim_mm  # noqa: F401  (first, as tests/conftest.py's hook comes too late for this file)

# isort: split
import pytest
from written_checkpoints import random_resnet, written

from clim_mm.export import FORMATS, export


@pytest.fixture(autouse=True)
def without_libraries(monkeypatch):
    """Have exports compared with torchvision's network: to import the others' takes longer than all these tests."""
    for module in ('timm.models', 'transformers.models.resnet.modeling_resnet', 'mmdet.models.backbones'):
        monkeypatch.setitem(sys.modules, module, None)


@pytest.fixture(scope='session')
def resnet18():
    """MMSelfSup's, in eval mode, with random statistics."""
    return random_resnet(18)


@pytest.fixture(scope='session')
def checkpoint18(resnet18, tmp_path_factory):
    """The path of a checkpoint with ``resnet18``."""
    return written(tmp_path_factory.mktemp('pretraining') / 'epoch_200.pth', resnet18)


@pytest.fixture(scope='session')
def export18(checkpoint18, tmp_path_factory):
    """Export it once for each library: ``export18(target)``, the path of the file and what was said of it."""
    done = {}

    def exported(target):
        if target not in done:
            name = f'resnet18{FORMATS[target].endings[0]}'
            out = str(tmp_path_factory.mktemp('export') / name)
            done[target] = out, export(checkpoint18, target, out)
        return done[target]

    return exported
