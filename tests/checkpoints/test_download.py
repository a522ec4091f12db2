"""Copies of files of the web, over real connections: whose they are, and that they are whole."""

import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from gloo import CONTEXT
from mmengine.runner import CheckpointLoader
from web_folder import FolderOfTheWeb

from clim_mm import storage
from clim_mm.checkpoints.download import copy_of
from clim_mm.errors import CheckpointError, DamagedCheckpoint


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(storage.time, 'sleep', lambda seconds: None)


@pytest.fixture
def served(web):
    """The folder, its address, and a function that puts a checkpoint there."""
    folder, address = web

    def put(name, epoch):
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save(dict(meta=dict(epoch=epoch), weight=torch.zeros(10_000)), folder / name)
        return (folder / name).read_bytes()

    return folder, address, put


def epoch_of(url):
    return CheckpointLoader.load_checkpoint(url)['meta']['epoch']


def left_behind(tmp_path):
    return [path for path in (tmp_path / 'hub').rglob('*') if path.is_file()]


def test_files_of_one_name_are_told_apart(served):
    folder, address, put = served
    put('a/x.pth', 1), put('b/x.pth', 2)
    assert [epoch_of(f'{address}/{place}/x.pth') for place in ('a', 'b', 'a')] == [1, 2, 1]
    assert [epoch_of(f'{address}/a/x.pth?version={version}') for version in (1, 2)] == [1, 1]
    assert FolderOfTheWeb.asked == ['/a/x.pth', '/b/x.pth', '/a/x.pth?version=1', '/a/x.pth?version=2']


def test_a_download_that_is_cut_off_is_not_kept(served, tmp_path):
    folder, address, put = served
    whole = put('x.pth', 3)
    url = f'{address}/cut/1000/x.pth'
    with pytest.raises(CheckpointError) as refusal:
        epoch_of(url)
    assert str(refusal.value) == (f'Cannot download {url} (it ended after 1,000 of {len(whole):,} bytes): try again, '
                                  'or fetch it otherwise and give its path.')
    assert left_behind(tmp_path) == [] and len(FolderOfTheWeb.asked) == 3
    (folder / 'cut' / '1000').mkdir(parents=True)
    assert epoch_of(f'{address}/x.pth') == 3


@pytest.mark.parametrize('place, words, tries', [
    ('none.pth', 'HTTP Error 404', 1), ('to/none.pth', 'HTTP Error 404', 2), ('busy', 'HTTP Error 503', 3)])
def test_what_the_server_says(served, tmp_path, place, words, tries):
    _, address, _ = served
    with pytest.raises(CheckpointError, match=f'^Cannot download {address}/{place} .{words}'):
        copy_of(f'{address}/{place}')
    assert left_behind(tmp_path) == [] and len(FolderOfTheWeb.asked) == tries


def test_no_server_and_no_address(served, tmp_path):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))  # and nobody listens
        for url in (f'http://127.0.0.1:{taken.getsockname()[1]}/a.pth', 'http://[', 'http://127.0.0.1:x/a.pth',
                    'http://127.0.0.1/ä b.pth', 'http://', 'http://127.0.0.1:1/..'):
            with pytest.raises(CheckpointError, match='^Cannot download http.* give its path.$'):
                copy_of(url)
    assert left_behind(tmp_path) == []


def test_a_redirection_is_followed(served):
    _, address, put = served
    put('x.pth', 4)
    assert epoch_of(f'{address}/to/x.pth') == 4


def test_what_is_no_checkpoint_is_fetched_anew(served, tmp_path):
    folder, address, put = served
    (folder / 'x.pth').write_text('<html>Log in first</html>')
    for _ in range(2):
        with pytest.raises(DamagedCheckpoint, match=f'What {address}/x.pth gives is cut off or damaged, or no check'):
            epoch_of(f'{address}/x.pth')
    assert left_behind(tmp_path) == [] and len(FolderOfTheWeb.asked) == 2
    put('x.pth', 5)
    assert epoch_of(f'{address}/x.pth') == 5


def test_a_name_that_tells_its_content(served, tmp_path):
    folder, address, put = served
    content = put('x.pth', 6)
    digest = hashlib.sha256(content).hexdigest()[:8]
    for name in (f'x-{digest}.pth', 'x-dead0000.pth', 'x-20260101.pth'):
        (folder / name).write_bytes(content)
    assert epoch_of(f'{address}/x-{digest}.pth') == epoch_of(f'{address}/x-20260101.pth') == 6
    with pytest.raises(CheckpointError, match=f'its SHA-256 begins with {digest}, not with dead0000 as its name says'):
        epoch_of(f'{address}/x-dead0000.pth')
    assert len(left_behind(tmp_path)) == 2


def test_torchs_own_copy_is_taken_if_it_is_what_its_name_says(served, tmp_path):
    _, address, put = served
    content = put('x.pth', 7)
    name = f'resnet-{hashlib.sha256(content).hexdigest()[:8]}.pth'
    (tmp_path / 'hub' / 'checkpoints').mkdir(parents=True)
    own = tmp_path / 'hub' / 'checkpoints' / name
    own.write_bytes(content)
    assert copy_of(f'http://no.server.invalid/{name}') == str(own)
    own.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match='HTTP Error 404'):
        copy_of(f'{address}/{name}')
    assert own.read_bytes() == content[:-1], 'it is not ours to remove'


def test_a_full_disk_is_no_fault_of_the_web(served, tmp_path):
    _, address, put = served
    put('x.pth', 8)
    (tmp_path / 'hub').write_text('a file')
    with pytest.raises(CheckpointError, match=f'Cannot keep a copy of {address}/x.pth in .*hub.* or set TORCH_HOME'):
        copy_of(f'{address}/x.pth')


def test_several_at_once_get_the_whole_file(served, tmp_path):
    folder, address, put = served
    put('x.pth', 9)
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(copy_of, [f'{address}/x.pth'] * 8))
    assert len(paths) == 1 and left_behind(tmp_path) == [tmp_path / path for path in paths]
    assert epoch_of(f'{address}/x.pth') == 9


def take(url, hub, answers):
    torch.hub.set_dir(hub)
    answers.put(epoch_of(url))


@pytest.mark.e2e
def test_two_processes_at_once(served, tmp_path):
    _, address, put = served
    put('x.pth', 10)
    answers = CONTEXT.Queue()
    processes = [CONTEXT.Process(target=take, args=(f'{address}/x.pth', str(tmp_path / 'hub'), answers))
                 for _ in range(2)]
    for process in processes:
        process.start()
    assert [answers.get(timeout=60) for _ in processes] == [10, 10]
    for process in processes:
        process.join()
    assert len(left_behind(tmp_path)) == 1
