"""Checkpoints as a pretraining writes them, of ResNets whose every tensor matters."""

import hashlib

import torch
from config_names import ROOT, load
from mmselfsup.models.backbones import ResNet
from torch import nn

CONFIG = ROOT / 'configs/clim/clim_r50_16xb32-200e_in1k.py'
META = dict(
    epoch=200, iter=500200, seed=0, experiment_name='clim_r50_16xb32-200e_in1k_20260102_030405', time='20260109_101112')


def random_resnet(depth, seed=0, **settings):
    """MMSelfSup's ResNet in eval mode, with statistics and weights of its normalisation that are not 0 and 1."""
    torch.manual_seed(seed)
    model = ResNet(depth=depth, out_indices=[4], **settings)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            module.num_batches_tracked.fill_(1234)
    model.eval()
    return model


def config_text(depth=50, **backbone):
    """Of the project's own config, with changes to its backbone."""
    cfg = load(CONFIG)
    cfg.model.backbone.update(depth=depth, **backbone)
    return cfg.pretty_text


def checkpoint_of(model, text=None, **changes):
    """What an export reads of a checkpoint: the query encoder, the begin of another momentum encoder, the queue."""
    weights = {f'backbone.{name}': value for name, value in model.state_dict().items()}
    momentum = {'encoder_k.module.0.conv1.weight': model.state_dict().get('conv1.weight', torch.zeros(1)) + 1}
    state = dict(weights, **momentum, queue=torch.zeros(128, 8))
    return dict(dict(meta=dict(META, cfg=text or config_text(model.depth)), state_dict=state, optimizer={}), **changes)


def written(path, model, text=None, **changes):
    """The path of such a checkpoint, written there."""
    torch.save(checkpoint_of(model, text, **changes), path)
    return str(path)


def features_of(backbone, images):
    """The last stage's output, and its mean over the places."""
    with torch.no_grad():
        last = backbone(images)[-1]
    return last, last.mean(dim=(2, 3))


def images(number=2, side=96, seed=5):
    """(number, 3, side, side) float32, other ones than those of the export's own check."""
    return torch.randn(number, 3, side, side, generator=torch.Generator().manual_seed(seed))


def contents(folder):
    """What is below a folder, by path, hidden files too."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob('*')) if path.is_file()}
