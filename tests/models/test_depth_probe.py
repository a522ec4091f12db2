"""A linear probe at several depths: what each classifier sees, that only they learn, and what is reported."""

import pytest
import torch
from mmcls.evaluation import MultiTasksMetric
from mmcls.structures import ClsDataSample
from mmengine.registry import init_default_scope

from clim_mm.errors import ConfigError
from clim_mm.models import DepthHeads
from clim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('one_torch_thread')

PATHS = dict(res4='layer3', res5_1='layer4.0', res5_2='layer4.1')
SIZES = dict(res4=dict(in_channels=16, side=2), res5_1=dict(in_channels=32, side=2),
             res5_2=dict(in_channels=32, side=1))
LOSS = dict(type='mmcls.CrossEntropyLoss')


def probe(**changed):
    init_default_scope('clim_mm')
    torch.manual_seed(0)
    config = dict(
        type='DepthProbe', points=PATHS,
        backbone=dict(type='mmcls.ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4, frozen_stages=4),
        head=dict(type='DepthHeads', num_classes=3, points=SIZES, loss=LOSS))
    model = MODELS.build(dict(config, **changed))
    model.init_weights()
    return model


def samples(*labels):
    return [ClsDataSample().set_gt_label(label) for label in labels]


def test_the_maps_are_those_of_the_modules_and_the_hooks_are_gone():
    model = probe().train()
    images = torch.randn(2, 3, 16, 16)
    maps = model.extract_feat(images)
    assert {point: tuple(one.shape) for point, one in maps.items()} == dict(
        res4=(2, 16, 4, 4), res5_1=(2, 32, 2, 2), res5_2=(2, 32, 2, 2))
    (last, ) = model.backbone(images)
    assert torch.equal(maps['res5_2'], last)
    assert torch.equal(maps['res5_1'], model.backbone.layer4[0](maps['res4']))
    assert not any(module._forward_hooks for module in model.backbone.modules())


def test_a_classifier_sees_the_means_of_the_quarters_of_its_map():
    heads = DepthHeads(2, dict(early=dict(in_channels=1, side=2), late=dict(in_channels=1, side=1)), loss=LOSS)
    with torch.no_grad():
        for head in heads.heads.values():
            head.fc.bias.zero_()
        heads.heads['early'].fc.weight.copy_(torch.tensor([[1., 0, 0, 0], [0, 0, 0, 1]]))
        heads.heads['late'].fc.weight.copy_(torch.tensor([[1.], [2]]))
    one = torch.arange(16.).reshape(1, 1, 4, 4)  # the quarters' means are 2.5, 4.5, 10.5 and 12.5
    logits = heads(dict(early=one, late=one))
    assert logits['early'].tolist() == [[2.5, 12.5]] and logits['late'].tolist() == [[7.5, 15.0]]
    losses = heads.loss(dict(early=one, late=one), samples(1))
    assert losses['early_loss'].item() == pytest.approx(4.54e-5, rel=1e-2)  # log(1 + e^-10)
    assert losses['late_loss'].item() == pytest.approx(5.53e-4, rel=1e-2)  # log(1 + e^-7.5)


def test_only_the_classifiers_learn_each_from_its_own_loss():
    model = probe().train()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    losses = model(torch.randn(4, 3, 16, 16), samples(0, 1, 2, 0), mode='loss')
    assert [*losses] == ['res4_loss', 'res5_1_loss', 'res5_2_loss']
    losses['res4_loss'].backward(retain_graph=True)
    assert {name for name, value in model.named_parameters() if value.grad is not None} == {
        'head.heads.res4.fc.weight', 'head.heads.res4.fc.bias'}
    total, _ = model.parse_losses(losses)
    assert total.item() == pytest.approx(sum(value.item() for value in losses.values()))
    total.backward()
    assert {name for name, value in model.named_parameters() if value.grad is None} == {
        f'backbone.{name}' for name, _ in model.backbone.named_parameters()}
    assert not any(module.training for module in model.backbone.modules() if hasattr(module, 'running_mean'))
    assert all(torch.equal(value, before[name]) for name, value in model.backbone.state_dict().items())


def test_the_accuracy_of_each_point():
    heads = DepthHeads(2, dict(early=dict(in_channels=2, side=1), late=dict(in_channels=2, side=1)), loss=LOSS)
    with torch.no_grad():
        for head, sign in zip(heads.heads.values(), (1, -1), strict=True):
            head.fc.bias.zero_()
            head.fc.weight.copy_(sign * torch.eye(2))
    maps = torch.eye(2)[[0, 0, 1, 1]].reshape(4, 2, 1, 1)  # the first point says 0, 0, 1, 1; the second the opposite
    predicted = heads.predict(dict(early=maps, late=maps), samples(0, 0, 1, 0))
    metric = MultiTasksMetric({point: [dict(type='mmcls.Accuracy')] for point in ('early', 'late')})
    metric.process(None, [sample.to_dict() for sample in predicted])
    assert metric.evaluate(4) == {'early_accuracy/top1': 75.0, 'late_accuracy/top1': 25.0}
    (alone, ) = heads.predict(dict(early=maps[2:3], late=maps[2:3]))
    assert (alone.early.pred_label.label.item(), alone.late.pred_label.label.item()) == (1, 0)


@pytest.mark.parametrize('changed, said', [
    (dict(points=dict(PATHS, res4='layer5')), "the backbone has no 'layer5'"),
    (dict(points=dict(res4='layer3')), 'are res4, but those of its head are res4, res5_1, res5_2'),
    (dict(head=dict(type='DepthHeads', num_classes=3, points=dict(SIZES, res4=dict(in_channels=16, side=0)))),
     'points.res4.side of DepthHeads')])
def test_refusals(changed, said):
    with pytest.raises(ConfigError, match=said):
        probe(**changed)
