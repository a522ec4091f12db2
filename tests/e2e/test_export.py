"""The export by its command, from a checkpoint of a real training, and its documentation run as it stands."""

import re
import sys

import pytest
import torch
import torchvision
from mmengine.config import Config
from torch import nn
from trained import ROOT

from clim_mm.evaluation import load_model
from clim_mm.export import read_header

pytestmark = pytest.mark.e2e

TARGETS = {'torchvision': 'r.pth', 'timm': 'r_timm.pth', 'detectron2': 'r_d2.pth', 'mmdet': 'r_mmdet.pth',
           'huggingface': 'r_hf', 'torch': 'r.pt2', 'safetensors': 'r.safetensors'}


@pytest.fixture(scope='module')
def resnet18(trained):
    """A training of a ResNet-18."""
    return trained('resnet18')


@pytest.fixture(scope='module')
def exports(run, resnet18, tmp_path_factory):
    """All exports of its checkpoint: the folder, and what the command said, by library."""
    folder, said = tmp_path_factory.mktemp('exports'), {}
    for target, name in TARGETS.items():
        result = run('tools/export.py', resnet18.checkpoint(), '--to', target, '--out', folder / name)
        assert result.returncode == 0, result.stdout[-3000:]
        said[target] = result.stdout
    return folder, said


@pytest.mark.parametrize('target', TARGETS)
def test_what_the_command_says(exports, target):
    folder, said = exports
    header = read_header(folder / TARGETS[target])
    assert f'resnet18 for {target}, {100 if target == "detectron2" else 120} tensors' in said[target]
    assert re.search(r'features against \w+ [\d.+a-z]+.*: largest difference [\d.e+-]+, at most 1e-05\n', said[target])
    assert 'input RGB, views of 48 pixels, mean 123.675, 116.28, 103.53, std 58.395, 57.12, 57.375' in said[target]
    assert header['weights_sha256'] in said[target] and header['checkpoint_sha256'] in said[target]
    assert header['epochs'] == 1 and header['config']['name'] == 'clim_r50_16xb32-1200e_in1k'


def test_the_features_are_those_of_the_trained_model(exports, resnet18):
    cfg = Config.fromfile(next(resnet18.work_dir.glob('*.py')))
    trained = load_model(cfg, str(resnet18.checkpoint()))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(9))
    model = torchvision.models.resnet18()
    model.fc = nn.Identity()
    model.load_state_dict(torch.load(exports[0] / 'r.pth', weights_only=True))
    model.eval()
    with torch.no_grad():
        pooled = trained.encoder('query')[0](images)[-1].mean(dim=(2, 3))
        assert pooled.abs().mean() > 0.01
        assert (model(images) - pooled).abs().max() <= 1e-5


def test_the_python_of_the_documentation(exports, shell):
    text = (ROOT / 'docs' / 'export.md').read_text()
    snippets = re.findall(r'```python\n(.*?)```', text, re.S)
    assert len(snippets) == 6
    # One after the other in one Python, each with its own names. detectron2 is in no package index.
    runnable = [code.replace('resnet50', 'resnet18') for code in snippets if 'detectron2' not in code]
    for number, code in enumerate(runnable):
        for target, name in TARGETS.items():
            documented = {'huggingface': 'clim_resnet18_hf', 'torch': 'clim.pt2'}.get(
                target, f'clim_resnet18_{target}.pth')
            code = code.replace(documented, str(exports[0] / name))
        runnable[number] = f'exec({code!r}, {{}})'
    result = shell(sys.executable, '-c', '\n'.join(runnable))
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize('prepare, arguments, words', [
    (None, ['--to', 'timm'], ['give the checkpoint as the pretraining wrote it, no export']),
    (lambda path: path.write_bytes(path.read_bytes()[:-1000]), [], ['is cut off or damaged']),
])
def test_bad_inputs_end_in_a_sentence(run, exports, tmp_path, prepare, arguments, words):
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes((exports[0] / 'r.pth').read_bytes())
    if prepare is not None:
        prepare(path)
    result = run('tools/export.py', path, '--to', 'torchvision', *arguments, '--out',
                 tmp_path / 'out.pth')
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: ') and all(word in last for word in words), last
    assert [entry.name for entry in tmp_path.iterdir()] == ['epoch_1.pth']


def test_a_slim_network_and_a_name_that_is_taken(run, trained, resnet18, tmp_path):
    taken = tmp_path / 'taken.pth'
    taken.write_text('mine')
    for more in [], ['--force']:
        result = run('tools/export.py', resnet18.checkpoint(), '--to', 'mmdet', '--out', taken, *more)
        assert result.returncode == 1 and 'is there already: give another name' in result.stdout.splitlines()[-1]
    assert taken.read_text() == 'mine'
    result = run('tools/export.py', trained('small').checkpoint(), '--to', 'timm', '--out', tmp_path / 'out.pth')
    assert result.returncode == 1 and 'Traceback' not in result.stdout
    assert 'conv1.weight (8, 3, 7, 7) instead of (64, 3, 7, 7)' in result.stdout.strip().splitlines()[-1]
    assert not (tmp_path / 'out.pth').exists()
    assert '`--to torch` writes it' in result.stdout
    result = run('tools/export.py', trained('small').checkpoint(), '--to', 'torch', '--out', tmp_path / 'slim.pt2')
    assert result.returncode == 0 and ': resnet18 for torch, ' in result.stdout, result.stdout[-3000:]
