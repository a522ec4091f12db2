"""Whatever MMEngine loads goes through the reader."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner, find_latest_checkpoint, load_checkpoint
from toy_runs import Linear, toy_config, toy_runner
from training_runs import N, write_images

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
    with pytest.raises(DamagedCheckpoint, match=f'What {address}/cut.pth gives is cut off or damaged'):
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
    for name in ('open-mmlab://none', 'torchvision://none', 'modelzoo://none', 'mmcls://none'):
        with pytest.raises(CheckpointError, match=f'MMEngine knows no model none for {name}: give a name'):
            CheckpointLoader.load_checkpoint(name)


@pytest.mark.parametrize('place', ['s3://bucket/a.pth', 'cluster:s3://bucket/a.pth', 'petrel://a.pth', 'pavi://a.pth'])
def test_other_storages_are_refused(place):
    with pytest.raises(CheckpointError, match=f'from files and over http only: copy {place} to this machine'):
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
