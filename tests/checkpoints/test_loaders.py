"""Whatever MMEngine loads goes through the reader."""

import json
import socket

import pytest
import torch
from gloo import CONTEXT
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner, find_latest_checkpoint, load_checkpoint
from toy_runs import Linear, toy_config, toy_runner
from training_runs import N, write_images
from web_folder import FolderOfTheWeb

from clim_mm import storage
from clim_mm.errors import CheckpointError, DamagedCheckpoint


def test_mmengine_loads_files_through_the_reader(tmp_path, toy_checkpoint, crafted, attack):
    model = Linear()
    load_checkpoint(model, str(toy_checkpoint), map_location='cpu')
    assert torch.equal(model.layer.weight, torch.load(toy_checkpoint, weights_only=False)['state_dict']['layer.weight'])
    marker = tmp_path / 'marker'
    with pytest.raises(CheckpointError, match='needs builtins.getattr'):
        load_checkpoint(model, str(crafted(attack(f'open({str(marker)!r}, "w")'))))
    assert not marker.exists()
    toy_checkpoint.with_name('cut.pth').write_bytes(toy_checkpoint.read_bytes()[:3000])
    with pytest.raises(DamagedCheckpoint):
        load_checkpoint(model, str(toy_checkpoint.with_name('cut.pth')))


def test_a_folder_of_an_unknown_scheme_is_a_file_that_is_not_there():
    with pytest.raises(CheckpointError, match='There is no checkpoint gopher://a/b.pth'):
        CheckpointLoader.load_checkpoint('gopher://a/b.pth')


def test_a_resumed_runner_reads_it_too(tmp_path, toy_checkpoint):
    undisturbed = toy_runner(toy_config(tmp_path / 'whole', 4))
    undisturbed.train()
    resumed = toy_runner(toy_config(tmp_path / 'on', 4, load_from=str(toy_checkpoint), resume=True))
    resumed.train()
    assert resumed.iter == 12
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value)
    history = resumed.message_hub.get_scalar('train/loss')
    assert history.data[0].tolist() == undisturbed.message_hub.get_scalar('train/loss').data[0].tolist()


def test_files_of_the_web(web, tmp_path, toy_checkpoint, crafted, attack):
    folder, address = web
    whole = toy_checkpoint.read_bytes()
    marker = tmp_path / 'marker'
    (folder / 'good.pth').write_bytes(whole)
    (folder / 'cut.pth').write_bytes(whole[:2000])
    (folder / 'bad.pth').write_bytes(crafted(attack(f'open({str(marker)!r}, "w")')).read_bytes())
    assert CheckpointLoader.load_checkpoint(f'{address}/good.pth')['meta']['epoch'] == 2
    (folder / 'good.pth').unlink()
    assert CheckpointLoader.load_checkpoint(f'{address}/good.pth')['meta']['epoch'] == 2, 'from the copy'
    with pytest.raises(DamagedCheckpoint, match=f'What {address}/cut.pth gives is no whole checkpoint'):
        CheckpointLoader.load_checkpoint(f'{address}/cut.pth')
    with pytest.raises(CheckpointError, match='needs builtins.getattr'):
        CheckpointLoader.load_checkpoint(f'{address}/bad.pth')
    assert not marker.exists()
    with pytest.raises(CheckpointError, match=f'Cannot download {address}/none.pth .*404.* give its path'):
        CheckpointLoader.load_checkpoint(f'{address}/none.pth')


def test_names_of_mmengines_tables(web, tmp_path, toy_checkpoint, monkeypatch):
    folder, address = web
    (folder / 'model.pth').write_bytes(toy_checkpoint.read_bytes())
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'home'))
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / 'open_mmlab.json').write_text(
        json.dumps(dict(mine=f'{address}/model.pth', local=str(toy_checkpoint))))
    for name in ('open-mmlab://mine', 'openmmlab://mine', 'open-mmlab://local'):
        assert CheckpointLoader.load_checkpoint(name)['meta']['epoch'] == 2
    for name in ('open-mmlab://none', 'torchvision://none'):
        with pytest.raises(CheckpointError, match=f'MMEngine knows no model none for {name}: give a name'):
            CheckpointLoader.load_checkpoint(name)


@pytest.mark.parametrize('place', [
    's3://bucket/a.pth', 'cluster:s3://bucket/a.pth', 'petrel://a.pth', 'pavi://a.pth', 'mmcls://vgg11',
    'modelzoo://vgg11'])
def test_other_storages_are_refused(place):
    with pytest.raises(CheckpointError, match=f'Checkpoints are loaded from files, .*: copy {place} to this'):
        CheckpointLoader.load_checkpoint(place)


def test_mmclassifications_checkpoints(tmp_path):
    write_images(tmp_path / 'images', N)

    def loader():
        dataset = dict(
            type='CustomDataset', data_root=str(tmp_path / 'images'), metainfo=dict(palette=dict(a=[1, 2, 3])),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(16, 16)), dict(type='PackClsInputs')])
        return dict(batch_size=8, num_workers=0, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=False))

    def run(epochs, number, **settings):
        runner = Runner.from_cfg(Config(dict(
            default_scope='mmcls', work_dir=str(tmp_path / 'work'), experiment_name=f'loading_mmcls_{number}',
            model=dict(
                type='ImageClassifier', data_preprocessor=dict(num_classes=4),
                backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=4, in_channels=64,
                          loss=dict(type='CrossEntropyLoss'))),
            train_dataloader=loader(), val_dataloader=loader(), train_cfg=dict(by_epoch=True, max_epochs=epochs),
            val_cfg=dict(), val_evaluator=dict(type='Accuracy'), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, save_best='auto')),
            visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
            randomness=dict(seed=0), log_level='ERROR', **settings)))
        runner.train()
        return runner

    first = run(1, 1)
    latest = find_latest_checkpoint(str(tmp_path / 'work'))
    checkpoint = CheckpointLoader.load_checkpoint(latest)
    assert checkpoint['meta']['dataset_meta'] == first.train_dataloader.dataset.metainfo
    assert checkpoint['message_hub']['runtime_info']['best_score'] == first.message_hub.get_info('best_score')
    resumed = run(2, 2, resume=True, load_from=latest)
    assert resumed.epoch == 2 and resumed.iter == 6


def test_a_config_in_a_checkpoint_is_not_run(tmp_path, toy_checkpoint):
    checkpoint = torch.load(toy_checkpoint, weights_only=False)
    checkpoint['meta']['config'] = f'open({str(tmp_path / "ran")!r}, "w")'
    torch.save(checkpoint, tmp_path / 'with_code.pth')
    runner = toy_runner(toy_config(tmp_path, 3, resume=True, load_from=str(tmp_path / 'with_code.pth')))
    runner.train()
    assert runner.epoch == 3 and not (tmp_path / 'ran').exists()


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
    return [path for path in (tmp_path / 'hub').rglob('*') if path.is_file() and path.stat().st_size]


def test_files_of_one_name_are_told_apart(served):
    folder, address, put = served
    put('a/x.pth', 1), put('b/x.pth', 2)
    assert [epoch_of(f'{address}/{place}/x.pth') for place in ('a', 'b', 'a')] == [1, 2, 1]
    assert [epoch_of(f'{address}/a/x.pth?version={version}') for version in (1, 2)] == [1, 1]
    assert FolderOfTheWeb.asked == ['/a/x.pth', '/b/x.pth', '/a/x.pth?version=1', '/a/x.pth?version=2']


def test_a_download_that_is_cut_off_is_not_kept(served, tmp_path):
    folder, address, put = served
    put('x.pth', 3)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=f'Cannot download {address}/cut/1000/x.pth .IncompleteRead'):
            epoch_of(f'{address}/cut/1000/x.pth')
        assert left_behind(tmp_path) == []
    assert epoch_of(f'{address}/x.pth') == 3 and len(FolderOfTheWeb.asked) == 3 + 3 + 1


@pytest.mark.parametrize('place, words, tries', [
    ('none.pth', 'HTTP Error 404', 1), ('to/none.pth', 'HTTP Error 404', 2), ('busy', 'HTTP Error 503', 3)])
def test_what_the_server_says(served, tmp_path, place, words, tries):
    _, address, _ = served
    with pytest.raises(CheckpointError, match=f'^Cannot download {address}/{place} .{words}'):
        epoch_of(f'{address}/{place}')
    assert left_behind(tmp_path) == [] and len(FolderOfTheWeb.asked) == tries


def test_no_server_and_no_address(served, tmp_path):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))  # and nobody listens
        for url in (f'http://127.0.0.1:{taken.getsockname()[1]}/a.pth', 'http://[', 'http://127.0.0.1:x/a.pth',
                    'http://127.0.0.1/ä b.pth', 'http://', 'http://127.0.0.1:1/..'):
            with pytest.raises(CheckpointError, match='^Cannot download http.* give its path.$'):
                epoch_of(url)
    assert left_behind(tmp_path) == []


def test_a_redirection_is_followed(served):
    _, address, put = served
    put('x.pth', 4)
    assert epoch_of(f'{address}/to/x.pth') == 4


def test_what_is_no_checkpoint_is_fetched_anew(served, tmp_path):
    folder, address, put = served
    (folder / 'x.pth').write_text('<html>Log in first</html>')
    for _ in range(2):
        with pytest.raises(DamagedCheckpoint, match=f'What {address}/x.pth gives is no whole checkpoint'):
            epoch_of(f'{address}/x.pth')
    assert left_behind(tmp_path) == [] and len(FolderOfTheWeb.asked) == 2
    put('x.pth', 5)
    assert epoch_of(f'{address}/x.pth') == 5


def test_a_full_disk_is_no_fault_of_the_web(served, tmp_path):
    _, address, put = served
    put('x.pth', 8)
    (tmp_path / 'hub').write_text('a file')
    with pytest.raises(CheckpointError, match='Cannot write .*hub.*choose another place'):
        epoch_of(f'{address}/x.pth')


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
