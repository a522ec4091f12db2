"""Fixtures of several test files."""

import functools
import gc
import importlib
import shutil
import signal

import pytest

FILES = []  # whose tests have begun

# A shell that starts this in the background, and nohup, let its processes ignore what tests send to programs.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_collectstart():
    """Open MMSelfSup's version gate, and set the limits of cv2, before any test file is imported."""
    import clim_mm  # noqa: F401  (not above: xdist's first process collects nothing, and the others wait for it)


def pytest_runtest_logstart(location):
    """Leave what was made before this test file, by imports above all, out of the garbage collector's sight."""
    # MMEngine's datasets collect the garbage as they are built; looking through all of torch takes a quarter second.
    if FILES[-1:] != [location[0]]:
        FILES.append(location[0])
        gc.collect()
        gc.freeze()


@pytest.fixture(scope='session', autouse=True)
def told_once():
    """Have what each Runner tells of the machine, and the layout of the same config's text, found out once."""
    from mmengine.runner import runner

    layout = importlib.import_module('yapf.yapflib.yapf_api')  # no requirement of ours, but MMEngine's
    format_code = layout.FormatCode
    formatted = functools.lru_cache(None)(lambda text, style: format_code(text, style_config=dict(style)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, 'FormatCode', lambda text, style_config: formatted(text, tuple(style_config.items())))
        patch.setattr(runner, 'collect_env', functools.lru_cache(None)(runner.collect_env))
        yield


@pytest.fixture
def class_folder(tmp_path):
    """A folder with two class folders of six PNG images each, 40 high and 48 wide, all different."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / 'images'
    for name in ('cat', 'dog'):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            pixels = np.kron(rng.integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{number}.png')
    return folder


@pytest.fixture(scope='module')
def one_torch_thread():
    """Let torch compute on one thread."""
    import torch

    # Beside another job, threads that wait for each other on so little work take ten times as long.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small_config(tmp_path):
    """The path of a config with an optimizer and three epochs, for what reads configs."""
    path = tmp_path / 'mine.py'
    path.write_text("""
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(max_epochs=3)
""")
    return str(path)


@pytest.fixture
def train_and_val(class_folder, tmp_path):
    """``train`` has twelve cats and dogs, ``val`` as many other ones of them."""
    shutil.copytree(class_folder, tmp_path / 'train')
    shutil.copytree(class_folder, tmp_path / 'val')
    for path in list((tmp_path / 'val').rglob('*.png')):
        path.write_bytes(path.read_bytes() + b' ')
    return tmp_path
