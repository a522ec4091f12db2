"""Each tool once from the shell, in a Python of its own; the other tests run them in forked processes."""

import sys

import pytest
from trained import DIGITS, IN1K, ROOT, SMALL

pytestmark = pytest.mark.e2e

# From the shell in other tests: train.py by tools/dist_train.sh, study.py where it is killed, and the quickstart.
STARTED_ELSEWHERE = {'train.py', 'study.py', 'quickstart.py'}
NO_COMMAND = {'image_archives.py'}  # which two commands import


@pytest.fixture
def commands(trained, digits, few_digits, imagenet_like, tmp_path):
    """The words of each command, what it writes, and what it prints."""

    def options_of(folder):
        return '--cfg-options', f'train_dataloader.dataset.dataset.data_root={folder}'

    small, wide, out = trained('small'), trained('resnet18'), tmp_path / 'out'
    on_images = (*options_of(imagenet_like), *SMALL)
    on_digits = options_of(digits)
    options = [option for option in SMALL if option.startswith(('model.', 'extract.'))]
    return {
        'benchmark_safeguards.py': ([DIGITS, '--pairs', 1, '--epochs', 1, *options_of(few_digits)], None, '"ratio"'),
        'browse_neighbors.py': ([small.config, small.checkpoint(2), '--num-anchors', 5, '--out', out, '--cfg-options',
                                 *options, options_of(imagenet_like)[-1]], out, '5 of 203 images as anchors'),
        'browse_views.py': ([IN1K, '--num', 1, '--out', out.with_suffix('.png'), *on_images], out.with_suffix('.png'),
                            str(out)),
        'evaluate.py': (['knn', DIGITS, trained('digits').checkpoint(2), '--json', out, *on_digits], out,
                        'knn_20_top1'),
        'export.py': ([wide.checkpoint(), '--to', 'torchvision', '--out', out.with_suffix('.pth')],
                      out.with_suffix('.pth'), 'resnet18 for torchvision'),
        'make_label_split.py': ([digits / 'train', '--percent', 1, '--out', out], out, '10 of 1442 images'),
        'preflight.py': ([IN1K, '--json', out, *on_images], out, 'Preflight of'),
        'pseudo_labels.py': (['--help'], None, 'where it is sure'),
        'prepare_cifar.py': (['--help'], None, 'CIFAR-10 or CIFAR-100'),
        'prepare_digits.py': ([out], out / 'train', ''),
        'prepare_stl10.py': (['--help'], None, 'STL-10'),
        'prepare_subset.py': ([digits, out, '--train', 2, '--val', 1, '--test', 1], out / 'val', ''),
        'prepare_textures.py': (['--help'], None, 'Draw ten classes of textures'),
    }


def test_every_tool_is_started(commands):
    assert {path.name for path in (ROOT / 'tools').glob('*.py')} == (
        STARTED_ELSEWHERE | NO_COMMAND | commands.keys())


@pytest.mark.parametrize('tool', [
    'benchmark_safeguards.py', 'browse_neighbors.py', 'browse_views.py', 'evaluate.py', 'export.py',
    'make_label_split.py', 'preflight.py', 'prepare_cifar.py', 'prepare_digits.py', 'prepare_stl10.py',
    'prepare_subset.py', 'prepare_textures.py', 'pseudo_labels.py'])
def test_from_the_shell(shell, commands, tool):
    words, written, said = commands[tool]
    result = shell(sys.executable, f'tools/{tool}', *words)
    assert result.returncode == 0 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    assert said in result.stdout
    assert written is None or written.exists()
