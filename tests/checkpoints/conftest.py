"""Real checkpoints, and files that only look like some."""

import clim_mm  # noqa: F401  (first, see tests/export/conftest.py)

# isort: split
import functools
import http.server
import io
import struct
import threading
import zipfile

import pytest
import torch
from toy_runs import toy_config, toy_runner
from training_runs import N, train, write_images
from web_folder import FolderOfTheWeb


@pytest.fixture(scope='session')
def clim_checkpoint(tmp_path_factory):
    """The last checkpoint of a CLIM training of two epochs."""
    root = tmp_path_factory.mktemp('clim')
    write_images(root / 'images', N)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    schedule = [dict(type='MultiStepLR', milestones=[1], by_epoch=True)]
    train(root / 'images', root / 'work', 2, num_workers=0, checkpoints=True, param_scheduler=schedule)
    torch.set_num_threads(threads)
    return root / 'work' / 'epoch_2.pth'


@pytest.fixture(scope='session')
def toy_checkpoint(tmp_path_factory):
    """The last checkpoint of a toy training of two epochs, a few kilobytes."""
    work_dir = tmp_path_factory.mktemp('toy')
    toy_runner(toy_config(work_dir, 2)).train()
    return work_dir / 'epoch_2.pth'


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder and its address, while torch's hub keeps its copies in another."""
    (tmp_path / 'web').mkdir()
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(FolderOfTheWeb, directory=tmp_path / 'web'))
    threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True).start()
    FolderOfTheWeb.asked.clear()
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    before = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path / 'hub')
    yield tmp_path / 'web', f'http://127.0.0.1:{server.server_port}'
    torch.hub.set_dir(before)
    server.shutdown()
    server.server_close()


@pytest.fixture
def crafted(tmp_path):
    """Write a checkpoint with a pickle of one's own: ``crafted(pickle_bytes)`` gives its path."""

    def write(data, name='crafted.pth'):
        sound = io.BytesIO()
        torch.save(dict(x=torch.zeros(1)), sound)
        with zipfile.ZipFile(sound) as source, zipfile.ZipFile(tmp_path / name, 'w') as target:
            for entry in source.namelist():
                target.writestr(entry, data if entry.endswith('data.pkl') else source.read(entry))
        return tmp_path / name

    return write


@pytest.fixture(scope='session')
def attack():
    """A pickle that runs code where ``getattr`` and ``HistoryBuffer`` are allowed: ``attack(code)``."""

    def text(word):
        return b'X' + struct.pack('<I', len(word.encode())) + word.encode()

    def attribute(owner, name):
        return b'cbuiltins\ngetattr\n' + owner + text(name) + b'\x86R'

    def build(code):
        history = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'
        run = attribute(attribute(b'cbuiltins\ngetattr\n', '__self__'), 'exec')  # builtins.exec
        names = attribute(attribute(history, 'min'), '__globals__')  # of the module of HistoryBuffer
        fake_numpy = history + b')\x81}' + text('array') + run + b'sb'  # an object whose `array` is exec
        call = history + text(code) + text(code) + b'\x86R'  # HistoryBuffer(code, code) calls np.array(code)
        return b'\x80\x02' + names + text('np') + fake_numpy + b's' + call + b'.'

    return build
