"""The commands of the README, docs/training.md and docs/runs.md, given as users do, in a folder of their own."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from mmengine.config import Config
from trained import ROOT, SMALL

pytestmark = pytest.mark.e2e

TEXT = '\n'.join((ROOT / path).read_text() for path in ('README.md', 'docs/training.md', 'docs/runs.md'))
OWN_CONFIG = re.search(r'```python\n(_base_ = .*?)```', TEXT, re.S)[1]
FEW = ['train_dataloader.num_workers=1', 'train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1']
LINEAR = ['model.backbone.depth=18', 'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
          'model.head.in_channels=64', 'model.head.num_classes=5', 'train_dataloader.batch_size=8',
          'val_dataloader.num_workers=1', *FEW]
PRETRAINED = 'work_dirs/clim_r50_16xb32-1200e_in1k/epoch_1.pth'
# What a machine without GPUs changes of a command that they have: other words, and settings of a small network.
# A string says where else it runs.
COMMANDS = {
    'bash tools/quickstart.sh': 'test_quickstart.py',
    'bash tools/run_tests.sh': 'this is a part of it',
    'source .venv/bin/activate': 'PATH has it',
    'mkdir -p data': [],
    'bash tools/dist_train.sh configs/clim/clim_r50_16xb32-1200e_in1k.py 16': ['--cfg-options', *SMALL, *FEW],
    'NNODES=2 NODE_RANK=0': 'test_two_machines.py',
    'NNODES=2 NODE_RANK=1': 'test_two_machines.py',
    'GPUS=16 GPUS_PER_NODE=8 bash tools/slurm_train.sh': 'test_train.py, with a stand-in for srun',
    'bash tools/dist_train.sh my_config.py 8': ['--cfg-options', *SMALL, *FEW],
    'python tools/preflight.py CONFIG [--processes N]': ['--cfg-options', *SMALL],
    'python tools/browse_neighbors.py CONFIG CHECKPOINT': ['--num-anchors', '20', '--cfg-options', *SMALL],
    'python tools/browse_views.py CONFIG': ['--cfg-options', *SMALL],
    'python tools/evaluate.py knn CONFIG CHECKPOINT': ['--cfg-options', *SMALL],
    'bash tools/dist_train.sh configs/benchmarks/classification/imagenet/resnet50_linear': ['--cfg-options', *LINEAR],
    'python tools/study.py configs/studies/digits.py': 'test_study.py',
    'python tools/export.py CHECKPOINT --to timm --out FILE': [],
    'clim-mm pretrain': 'test_pretrain.py',
    'clim-mm embed': 'test_embed.py',
    'clim-mm duplicates': 'test_embed.py',
    'bash tools/setup_det.sh': 'tools/run_tests.sh --det',
    'bash tools/benchmarks/dist_train_det.sh': 'detection/test_detection.py',
    'python tools/benchmark_safeguards.py': 'test_cold_starts.py',
    'python tools/prepare_cifar.py': 'test_prepare_cifar.py',
    'python tools/prepare_stl10.py': 'test_prepare_stl10.py',
    'python tools/prepare_subset.py': 'test_cold_starts.py',
    'pip install torch': 'tools/setup_env.sh',
    'pip install -e': 'tools/setup_env.sh',
}
WORDS = {  # placeholders, and numbers of processes
    'CONFIG': 'configs/clim/clim_r50_16xb32-1200e_in1k.py', 'CHECKPOINT': PRETRAINED,
    '[--processes N]': '--processes 2', 'FILE': 'out.pt2', '--to timm': '--to torch', '.py 16': '.py 2',
    '.py 8': '.py 2'}


def commands() -> list[str]:
    """In their order: the lines of the blocks, and what is named in a sentence."""
    blocks = re.findall(r'```bash\n(.*?)```|`((?:python|bash) tools/[^`]*)`', TEXT, re.S)
    lines = '\n'.join(block or inline for block, inline in blocks).replace('\\\n', ' ').splitlines()
    return [' '.join(line.partition('#')[0].split()) for line in lines if line.partition('#')[0].strip()]


@dataclass(frozen=True)
class Installed:
    """An installation: the programs' folder, and where the README's ``tools`` and ``configs`` are."""

    programs: Path
    root: Path


def editable(folder: Path) -> Installed:
    """What tools/setup_env.sh has made."""
    return Installed(Path(sys.executable).parent, ROOT)


def wheel(folder: Path) -> Installed:
    """A wheel in an environment of its own, which has the requirements from the other one."""
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--quiet', '-w', folder, ROOT], check=True)
    venv.create(folder / 'venv', symlinks=True)
    site, = (folder / 'venv').glob('lib/python3*/site-packages')
    (site / 'requirements.pth').write_text(next(path for path in sys.path if path.endswith('site-packages')))
    python = folder / 'venv' / 'bin' / 'python'
    subprocess.run([sys.executable, '-m', 'pip', '--python', python, 'install', '--no-deps', '--quiet',
                    *folder.glob('*.whl')], check=True)
    return Installed(python.parent, site / 'clim_mm' / '.mim')


@pytest.fixture
def user(tmp_path, imagenet_like) -> Callable[..., subprocess.CompletedProcess]:
    """Run a command of the README in a folder of the user's own: ``user(installed, command)``."""
    folder = tmp_path
    home, work = folder / 'home', folder / 'work'
    home.mkdir()
    work.mkdir()
    images = shutil.copytree(imagenet_like, folder / 'imagenet')
    for path in sorted(images.glob('train/*/*'))[::3]:
        place = images / 'val' / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    (work / 'my_config.py').write_text(OWN_CONFIG.replace('/path/to/images', str(images / 'train')))

    def run(installed: Installed, command: str) -> subprocess.CompletedProcess:
        for placeholder, word in dict(WORDS, **{'/path/to/imagenet': str(images)}).items():
            command = command.replace(placeholder, word)
        command = re.sub(r'\b(tools|configs)/', rf'{installed.root}/\1/', command)
        return subprocess.run(
            ['bash', '-c', f'ulimit -Sn 1024; {command}'], cwd=work,
            env=dict(HOME=str(home), PATH=f'{installed.programs}:{os.defpath}'),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    return run


def test_every_command_is_known():
    found = commands()
    for command in found:
        assert sum(command.startswith(start) for start in COMMANDS) == 1, command
    for start in COMMANDS:
        assert any(command.startswith(start) for command in found), f'{start}: no page has it any longer'


def test_ones_own_folder_has_the_learning_rate_of_the_rule(tmp_path):
    processes = int(next(command for command in commands() if 'my_config.py' in command).split()[-1])
    (tmp_path / 'my_config.py').write_text(OWN_CONFIG)
    cfg = Config.fromfile(tmp_path / 'my_config.py')
    images = processes * cfg.train_dataloader.batch_size
    assert cfg.optim_wrapper.optimizer.lr == cfg.auto_scale_lr.base_lr * images / cfg.auto_scale_lr.base_batch_size


# Other tests run the editable installation's commands, too, all but those of one's own folder from one's own config.
@pytest.mark.parametrize('install, starts', [
    (wheel, ''),
    (editable, ('mkdir', 'bash tools/dist_train.sh my_config.py', 'python tools/preflight.py')),
])
def test_the_commands_run(install, starts, user, tmp_path):
    installed = install(tmp_path)
    for command in filter(lambda command: command.startswith(starts), commands()):
        how = next(how for start, how in COMMANDS.items() if command.startswith(start))
        if not isinstance(how, str):
            ended = user(installed, f'{command} {shlex.join(how)}')
            assert ended.returncode == 0, f'{command}\n{ended.stdout[-3000:]}'
