"""``clim-mm pretrain`` as a user runs it."""

import json
import shutil
import time

import numpy as np
import pytest
from forked import ForkedProgram
from mmengine.config import Config
from PIL import Image

import clim_mm
from clim_mm.export import read_header

pytestmark = pytest.mark.e2e
COMMAND = 'clim_mm/__main__.py'
LEFT = {'backbone.safetensors', 'config.py', 'plan.json', 'report.html', 'training', 'training.log'}


@pytest.fixture(scope='module')
def images(few_digits, tmp_path_factory):
    """120 digits in a folder, without classes."""
    folder = tmp_path_factory.mktemp('pictures')
    for place, path in enumerate(sorted((few_digits / 'train').rglob('*.png'))[::3][:120]):
        shutil.copy(path, folder / f'{place:03}.png')
    return folder


def epochs_in(out):
    """Of which checkpoints are there, by their names."""
    return sorted(int(path.stem.split('_')[1]) for path in (out / 'training').glob('epoch_*.pth'))


def test_a_folder_becomes_a_backbone_that_embeds_it(run, images, tmp_path):
    out = tmp_path / 'out'
    result = run(COMMAND, 'pretrain', images, '--epochs', 3, '--out', out)
    assert result.returncode == 0, result.stdout[-3000:]
    assert {path.name for path in out.iterdir()} == LEFT and epochs_in(out)[-1] == 3
    for words in ('120 images in', 'clim, resnet18 of 16 channels, views of 32 pixels', '3 epochs of',
                  'Neighbours refreshed at epoch 1', 'is the backbone, 128 numbers', f'clim-mm embed {out}'):
        assert words in result.stdout
    header = read_header(out / 'backbone.safetensors')
    assert header['epochs'] == 3 and header['input']['size'] == 32
    found = clim_mm.embed(str(out / 'backbone.safetensors'), str(images), num_workers=0)
    assert found.vectors.shape == (120, 128)
    checkpoint = clim_mm.embed(str(out / 'training' / 'epoch_3.pth'), str(images), num_workers=0)
    np.testing.assert_allclose(found.vectors, checkpoint.vectors, atol=1e-6)
    # The config is an ordinary one.
    again = run('tools/train.py', out / 'config.py', '--work-dir', tmp_path / 'again')
    assert again.returncode == 0, again.stdout[-3000:]
    assert (tmp_path / 'again' / 'epoch_3.pth').exists()


@pytest.mark.parametrize('method', ['hsa', 'c2bin', 'mocov2', 'byol'])
def test_every_method(run, images, tmp_path, method):
    out = tmp_path / 'out'
    result = run(COMMAND, 'pretrain', images, '--epochs', 1, '--out', out, '--method', method)
    assert result.returncode == 0, result.stdout[-3000:]
    assert {path.name for path in out.iterdir()} == LEFT and f'{method}, resnet18' in result.stdout


def test_the_same_command_goes_on(run, images, tmp_path):
    out = tmp_path / 'out'
    words = ['pretrain', images, '--epochs', 60, '--out', out]
    started = ForkedProgram(COMMAND, words, tmp_path / 'output.txt', variables=dict(OMP_NUM_THREADS='1'))
    deadline = time.monotonic() + 300
    while not (out / 'training' / 'epoch_6.pth').exists():
        assert time.monotonic() < deadline and not any(started.exit_codes), started.text[-3000:]
        time.sleep(0.2)
    started.kill()
    before = (out / 'config.py').read_text()
    other = run(COMMAND, *words[:3], 61, *words[4:])
    assert other.returncode == 1 and 'was begun with epochs = 60, now it is 61' in other.stdout
    result = run(COMMAND, *words)
    assert result.returncode == 0 and f'Going on in {out}' in result.stdout, result.stdout[-3000:]
    assert epochs_in(out)[-1] == 60 and (out / 'config.py').read_text() == before
    assert (out / 'training.log').read_text().count(', start ') == 2
    again = run(COMMAND, *words)
    assert again.returncode == 0 and (out / 'backbone.safetensors').exists(), again.stdout[-3000:]


def test_what_fits_the_hours(run, images, tmp_path):
    out = tmp_path / 'out'
    result = run(COMMAND, 'pretrain', images, '--hours', 0.018, '--out', out)
    assert result.returncode == 0, result.stdout[-3000:]
    plan = json.loads((out / 'plan.json').read_text())
    epochs = Config.fromfile(out / 'config.py').train_cfg.max_epochs
    assert plan['recipe']['epochs'] == epochs == epochs_in(out)[-1] >= 2
    assert 0 < plan['seconds'] < 0.018 * 3600 and 'of training' in result.stdout


@pytest.mark.parametrize('words, said', [
    (['--hours', 0.001], ['one epoch of 120 images takes', 'give more hours']),
    (['--epochs', 1, '--method', 'climm'], ["--method must be one of clim", "did you mean 'clim'"]),
    (['--epochs', 1, '--arch', 'resnet51'], ['--arch must be one of', "did you mean 'resnet50'"]),
    (['--epochs', 1, '--size', 4], ['--size must be']),
    (['--epochs', 0], ['--epochs must be']),
    (['--hours', -1], ['--hours must be']),
    (['--epochs', 1, '--gpus', 99], ['--gpus 99', 'torch sees']),
])
def test_what_is_refused_leaves_nothing(run, images, tmp_path, words, said):
    result = run(COMMAND, 'pretrain', images, *words, '--out', tmp_path / 'out')
    last = result.stdout.strip().splitlines()[-1]
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    assert all(word in last for word in said), last
    assert not (tmp_path / 'out').exists()


def test_folders_that_are_refused(run, images, tmp_path):
    def last_line(folder):
        result = run(COMMAND, 'pretrain', folder, '--epochs', 1, '--out', tmp_path / 'out')
        assert result.returncode == 1 and not (tmp_path / 'out').exists()
        return result.stdout.strip().splitlines()[-1]

    (tmp_path / 'empty').mkdir()
    (tmp_path / 'equal').mkdir()
    for number in range(40):
        Image.new('RGB', (20, 20)).save(tmp_path / 'equal' / f'{number}.png')
    assert 'does not exist' in last_line(tmp_path / 'nowhere')
    assert 'has no file that ends in' in last_line(tmp_path / 'empty')
    assert 'has 1 different images that can be read' in last_line(tmp_path / 'equal')
    taken = tmp_path / 'taken'
    taken.mkdir()
    (taken / 'thesis.tex').touch()
    result = run(COMMAND, 'pretrain', images, '--epochs', 1, '--out', taken)
    assert 'has other files in it already, such as thesis.tex' in result.stdout
    assert [path.name for path in taken.iterdir()] == ['thesis.tex']
