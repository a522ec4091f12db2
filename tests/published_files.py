"""Checkpoints with the names, and for their depth the shapes, of those that others have published.

What a file holds beside the weights is there too: counters, optimizers, arguments. The names are facts of the files and
of the code that wrote them: facebookresearch/moco (issue 84 lists them), swav (issue 6), dino, vturrisi/solo-learn,
torchvision and timm.
"""

from argparse import Namespace
from functools import cache

import torch
from mmcls.models import ResNet, ResNet_CIFAR
from torch import nn
from torchvision.models import resnet18

NARROW = dict(stem_channels=4, base_channels=4)
OPTIMIZER = dict(state={0: dict(momentum_buffer=torch.zeros(2))}, param_groups=[dict(lr=0.03, params=[0])])


@cache
def random_resnet(narrow=False, small_stem=False, seed=0):
    """A ResNet-18 of torchvision, or one of a sixteenth of the channels, of which no tensor is what a new one has."""
    torch.manual_seed(seed)
    if narrow:  # of the same names
        network = ResNet_CIFAR(18, **NARROW) if small_stem else ResNet(18, **NARROW)
        network.fc = nn.Linear(32, 10)
    else:
        network = resnet18(weights=None)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.01, 0.05)
    return network


def weights_of(network, classifier=True):
    return {name: value for name, value in network.state_dict().items() if classifier or not name.startswith('fc.')}


def below(prefix, weights):
    return {f'{prefix}{name}': value for name, value in weights.items()}


def _mlp(prefix, *sizes):
    """The two layers of a projection head, with nothing to learn between them."""
    return {f'{prefix}{2 * i}.{leaf}': torch.rand(shape) for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False))
            for leaf, shape in (('weight', (b, a)), ('bias', (b, )))}


def moco(network, version=2, momentum=True, dim=128, queue_len=256):
    inside, (_, width) = weights_of(network, classifier=False), network.fc.weight.shape
    head = _mlp('fc.', width, width, dim) if version == 2 else {'fc.weight': torch.rand(dim, width),
                                                               'fc.bias': torch.rand(dim)}
    state = below('module.encoder_q.', {**inside, **head})
    if momentum:
        state.update(below('module.encoder_k.', {**inside, **head}))
    state.update({'module.queue': torch.rand(dim, queue_len), 'module.queue_ptr': torch.zeros(1, dtype=torch.int64)})
    return dict(epoch=800, arch='resnet18', state_dict=state, optimizer=OPTIMIZER)


def swav(network):
    head = {'module.projection_head.0.weight': torch.rand(8, 512), 'module.projection_head.1.running_mean':
            torch.rand(8), 'module.projection_head.3.weight': torch.rand(4, 8), 'module.prototypes.weight':
            torch.rand(3, 4)}
    return {**below('module.', weights_of(network, classifier=False)), **head}


def dino(network):
    inside = {**below('backbone.', weights_of(network, classifier=False)), 'head.mlp.0.weight': torch.rand(2, 2)}
    student = {name: value + 1 for name, value in inside.items()}
    return dict(student=below('module.', student), teacher=inside, optimizer=OPTIMIZER, epoch=300,
                args=Namespace(arch='resnet50', lr=0.03, local_crops_scale=(0.05, 0.14), seed=0), fp16_scaler={},
                dino_loss=dict(center=torch.zeros(1, 4)))


def solo_learn(network, part='backbone'):
    state = {**below(f'{part}.', weights_of(network, classifier=False)), 'classifier.weight': torch.rand(10, 512),
             'projector.0.weight': torch.rand(8, 512)}
    return dict(epoch=999, global_step=1000, state_dict=state, optimizer_states=[OPTIMIZER], lr_schedulers=[])


def openmmlab(network):
    state = {**below('backbone.', weights_of(network, classifier=False)), 'head.fc.weight': torch.rand(10, 512)}
    return dict(meta=dict(epoch=100), state_dict=state, message_hub={}, data_preprocessor={})


PUBLISHED = dict(
    moco_v2=(moco, 'MoCo'), moco_v1=(lambda network: moco(network, version=1), 'MoCo'),
    moco_query_alone=(lambda network: moco(network, momentum=False), 'MoCo'),
    torchvision=(weights_of, 'torchvision and timm'), torchvision_old=(
        lambda network: {name: value for name, value in weights_of(network).items() if 'num_batches' not in name},
        'torchvision and timm'),
    timm_training=(lambda network: dict(epoch=3, arch='resnet18', args=Namespace(lr=0.1), state_dict=weights_of(
        network)), 'torchvision and timm'),
    swav=(swav, 'SwAV'), dino_full=(dino, 'DINO'),
    dino_backbone=(lambda network: weights_of(network, classifier=False), 'torchvision, without its classifier'),
    barlow_twins=(lambda network: dict(epoch=1, model=below('module.backbone.', weights_of(network, False))), ''),
    solo_learn=(solo_learn, ''), solo_learn_old=(lambda network: solo_learn(network, 'encoder'), 'solo-learn'),
    model_in_state=(
        lambda network: dict(model=dict(state_dict=below('module.backbone.', weights_of(network, False)))), ''),
    openmmlab=(openmmlab, ''))


def write(path, name, **options):
    """Write one of ``PUBLISHED`` and give its path, and the network that it holds."""
    network = random_resnet(**options)
    torch.save(PUBLISHED[name][0](network), path)
    return str(path), network
