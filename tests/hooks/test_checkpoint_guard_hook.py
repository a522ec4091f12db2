"""What the guard refuses, before anything of it is in the model."""

from functools import partial

import published_files
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from tiny_clim import CLIM_HEAD
from toy_runs import NUMBERS, Linear, toy_config, toy_runner

from clim_mm.checkpoints import read_checkpoint
from clim_mm.errors import ConfigError
from clim_mm.hooks.checkpoint_guard_hook import CheckpointGuardHook
from clim_mm.models import CLIM


@pytest.fixture(scope='module')
def toy_checkpoint(tmp_path_factory):
    """The last checkpoint of a toy training of two epochs."""
    work_dir = tmp_path_factory.mktemp('toy')
    toy_runner(toy_config(work_dir, 2)).train()
    return work_dir / 'epoch_2.pth'


def changed(path, folder, change):
    """A copy of a checkpoint, changed in place by ``change(checkpoint)``."""
    checkpoint = read_checkpoint(path)
    change(checkpoint)
    torch.save(checkpoint, folder / 'changed.pth')
    return folder / 'changed.pth'


def runner_from(path, work_dir, resume, epochs=3, **model):
    cfg = toy_config(work_dir, epochs, load_from=str(path), resume=resume)
    return toy_runner(cfg, [CheckpointGuardHook()], **model)


def assert_refused(runner, *words):
    """It refuses, and the model is as it was built."""
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    with pytest.raises(ConfigError) as refusal:
        runner.train()
    message = str(refusal.value)
    assert all(word in message for word in words), message
    assert '\n' not in message and runner.iter == 0
    assert all(torch.equal(before[name], value) for name, value in runner.model.state_dict().items())


def test_a_checkpoint_of_the_same_run_is_resumed(tmp_path, toy_checkpoint):
    runner = runner_from(toy_checkpoint, tmp_path, resume=True)
    runner.train()
    assert (runner.epoch, runner.iter) == (3, 9)


@pytest.mark.parametrize('model, words', [
    (dict(outputs=2), '2 of another shape: layer.weight (1, 2) instead of (2, 2), layer.bias (1,) instead of (2,)'),
    (dict(extra=True), '2 missing: extra.weight, extra.bias'),
    (dict(ballast=4), '1 of another shape: ballast (0,) instead of (4,)'),
])
def test_another_model_is_not_resumed(tmp_path, toy_checkpoint, model, words):
    runner = runner_from(toy_checkpoint, tmp_path, resume=True, **model)
    assert_refused(
        runner, f'The checkpoint {toy_checkpoint}, saved after epoch 2, is of another model ({words}): resume with')


def test_weights_that_the_model_lacks_are_not_dropped(tmp_path, toy_checkpoint):
    path = changed(toy_checkpoint, tmp_path, lambda c: c['state_dict'].update({'more.weight': torch.zeros(1)}))
    assert_refused(runner_from(path, tmp_path, resume=True), '(1 unknown to the model: more.weight)')


@pytest.mark.parametrize('part', ['optimizer', 'message_hub', 'state_dict', 'meta'])
@pytest.mark.parametrize('value', [None, 3])
def test_a_part_that_is_not_there_or_no_part(tmp_path, toy_checkpoint, part, value):
    path = changed(toy_checkpoint, tmp_path, lambda c: c.update({part: value}) if value else c.pop(part))
    name = 'meta.epoch, meta.iter' if part == 'meta' else part
    assert_refused(runner_from(path, tmp_path, resume=True), f'The checkpoint {path} cannot be resumed from (it lacks '
                   f'{name}): give a checkpoint that a training has saved whole')


class Saving(Hook):
    """Has a part of the checkpoint."""

    checkpoint_part = 'table'

    def before_save_checkpoint(self, runner, checkpoint):  # noqa: D102
        checkpoint['table'] = [1, 2]


def test_the_part_of_a_hook_that_is_not_there(tmp_path, toy_checkpoint):
    cfg = toy_config(tmp_path, 3, load_from=str(toy_checkpoint), resume=True)
    assert_refused(toy_runner(cfg, [CheckpointGuardHook(), Saving()]), '(it lacks table): give a checkpoint')
    path = changed(toy_checkpoint, tmp_path, lambda c: c.update(table=[1, 2]))
    runner = toy_runner(toy_config(tmp_path, 3, load_from=str(path), resume=True), [CheckpointGuardHook(), Saving()])
    runner.train()
    assert runner.epoch == 3


def test_a_run_starts_from_some_weights(tmp_path, toy_checkpoint):
    runner = runner_from(toy_checkpoint, tmp_path, resume=False, extra=True)
    lines = []
    runner.logger.setLevel('INFO')
    runner.logger.addFilter(lambda record: lines.append(record.getMessage()) or False)
    runner.load_or_resume()
    assert f'3 of the model\'s 5 weights come from the checkpoint {toy_checkpoint}, which has 0 more.' in lines
    saved = read_checkpoint(toy_checkpoint)['state_dict']
    assert torch.equal(runner.model.layer.weight, saved['layer.weight'])


def test_a_run_starts_from_bare_weights(tmp_path, toy_checkpoint):
    weights = read_checkpoint(toy_checkpoint)['state_dict']
    torch.save({f'module.{name}': value for name, value in weights.items()}, tmp_path / 'bare.pth')
    runner = runner_from(tmp_path / 'bare.pth', tmp_path, resume=False)
    runner.load_or_resume()
    assert torch.equal(runner.model.layer.weight, weights['layer.weight'])


def test_a_run_does_not_start_from_weights_of_nothing(tmp_path):
    torch.save(dict(state_dict={'encoder.weight': torch.zeros(2)}), tmp_path / 'other.pth')
    assert_refused(runner_from(tmp_path / 'other.pth', tmp_path, resume=False), 'The weights of the checkpoint '
                   f'{tmp_path}/other.pth do not fit the model (3 missing: ballast, layer.weight, layer.bias; 1 un')


def test_a_run_does_not_start_from_weights_of_another_shape(tmp_path, toy_checkpoint):
    assert_refused(runner_from(toy_checkpoint, tmp_path, resume=False, outputs=2), '2 of another shape: layer.weight')


class Loaded(Hook):
    """Notes that it was asked after the guard."""

    priority = 'HIGH'
    asked = False

    def after_load_checkpoint(self, runner, checkpoint):  # noqa: D102
        self.asked = True


def test_the_guard_comes_before_other_hooks(tmp_path, toy_checkpoint):
    hook = Loaded()
    cfg = toy_config(tmp_path, 3, load_from=str(toy_checkpoint), resume=True)
    assert_refused(toy_runner(cfg, [hook, CheckpointGuardHook()], outputs=2), 'another model')
    assert not hook.asked


def test_a_wrapped_model(tmp_path, toy_checkpoint):
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        for outputs in (1, 2):
            runner = runner_from(toy_checkpoint, tmp_path, resume=False)
            runner.model = MMDistributedDataParallel(Linear(outputs=outputs))
            checkpoint = read_checkpoint(toy_checkpoint)
            if outputs == 1:
                CheckpointGuardHook().after_load_checkpoint(runner, checkpoint)
            else:
                with pytest.raises(ConfigError, match='2 of another shape'):
                    CheckpointGuardHook().after_load_checkpoint(runner, checkpoint)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize('name', ['moco_v2', 'moco_query_alone', 'torchvision', 'dino_full'])
def test_a_pretraining_starts_from_what_others_have_published(tmp_path, name):
    moco = partial(published_files.moco, dim=16)
    network = published_files.random_resnet(narrow=True)
    content = (moco(network, momentum=name == 'moco_v2') if name.startswith('moco')
               else published_files.PUBLISHED[name][0](network))
    torch.save(content, tmp_path / 'a.pth')
    model = CLIM(
        backbone=dict(type='mmselfsup.ResNet', depth=18, stem_channels=4, base_channels=4, out_indices=[4]),
        neck=dict(type='mmselfsup.MoCoV2Neck', in_channels=32, hid_channels=32, out_channels=16, with_avg_pool=True),
        head=CLIM_HEAD, queue_len=24, feat_dim=16)
    model.init_weights()
    runner = Runner(model=model, work_dir=str(tmp_path), load_from=str(tmp_path / 'a.pth'), log_level='ERROR',
                    experiment_name=f'guard_{next(NUMBERS)}',
                    cfg=Config(dict(load_from=str(tmp_path / 'a.pth'))))
    guard = CheckpointGuardHook()
    runner.register_hook(guard)
    runner.load_or_resume()
    guard.before_train(runner)
    own = network.state_dict()
    for encoder in ('query', 'momentum'):
        assert torch.equal(model.encoder(encoder)[0].layer4[1].conv2.weight.cpu(), own['layer4.1.conv2.weight'])
    assert torch.equal(model.encoder('query')[1].mlp[2].weight, model.encoder('momentum')[1].mlp[2].weight) or (
        name == 'moco_v2')
    if name.startswith('moco'):
        assert torch.equal(model.neck.mlp[2].weight.cpu(), content['state_dict']['module.encoder_q.fc.2.weight'])
    assert bool(model.encoder_k.steps > 0) == (name == 'moco_v2')
