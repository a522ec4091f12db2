"""The libraries' own networks with an exported file in them, loaded as their users load it."""

import os.path as osp
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
import torchvision
from mmengine.runner import load_checkpoint
from torch import nn

from clim_mm.checkpoints import read_checkpoint

from .formats import FORMATS
from .header import WEIGHTS_FILE
from .program import Network, load_program


@dataclass(frozen=True)
class Library:
    """A library whose ResNet takes a target's files.

    Attributes:
        name: With its version, and how the file gets into it if it is another one than the target.
        load: From the path of a file and the depth of the ResNet to the network with the file's weights.
    """

    name: str
    load: Callable[[str, int], Network]


def library_of(target: str) -> Library:
    """The target itself where it is installed whole, otherwise torchvision, which takes the file by names mapped back.

    Args:
        target: One of ``FORMATS``.
    """
    if target in _OWN:
        package, module, load = _OWN[target]
        # It may be absent, lack its compiled parts, or (mmdet asserts it) not fit the versions of the others.
        with suppress(ImportError, AssertionError):
            import_module(module)
            return Library(f'{package} {import_module(package).__version__}', load)
    own = f'torchvision {torchvision.__version__}'
    return Library(own if target == 'torchvision' else f'{own}, with the names mapped back',
                   lambda path, depth: _torchvision(path, depth, target))


def _torchvision(path: str, depth: int, target: str) -> Network:
    model = getattr(torchvision.models, f'resnet{depth}')(weights=None)
    model.fc = nn.Identity()
    back = {FORMATS[target].rename(name): name for name in model.state_dict()}
    model.load_state_dict({back[name]: value for name, value in _tensors(path, target).items()})
    model.eval()

    def network(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen: list[torch.Tensor] = []
        handle = model.layer4.register_forward_hook(lambda module, inputs, output: seen.append(output))
        pooled = model(images)
        handle.remove()
        return seen[0], pooled

    return network


def _tensors(path: str, target: str) -> dict[str, Any]:
    if target == 'huggingface':
        from safetensors.torch import load_file
        return load_file(osp.join(path, WEIGHTS_FILE))
    loaded = read_checkpoint(path)
    return loaded.get('model') or loaded.get('state_dict') or loaded


def _timm(path: str, depth: int) -> Network:
    model = import_module('timm').create_model(f'resnet{depth}', num_classes=0, checkpoint_path=path).eval()
    return lambda images: (model.forward_features(images), model(images))


def _transformers(path: str, depth: int) -> Network:
    model = import_module('transformers').AutoModel.from_pretrained(path, local_files_only=True).eval()

    def network(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = model(images)
        return output.last_hidden_state, output.pooler_output.flatten(1)

    return network


def _mmdet(path: str, depth: int) -> Network:
    model = import_module('mmdet.models.backbones').ResNet(depth=depth)
    load_checkpoint(model, path, map_location='cpu', strict=True)  # as init_cfg does, which lists every parameter
    model.eval()

    def network(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        last = model(images)[-1]
        return last, last.mean(dim=(2, 3))

    return network


# The package, the module that has to be there, and how the package loads a file. detectron2 is in no package index.
_OWN: dict[str, tuple[str, str, Callable[[str, int], Network]]] = {
    'timm': ('timm', 'timm.models', _timm),
    'torch': ('torch', 'torch.export', load_program),
    'huggingface': ('transformers', 'transformers.models.resnet.modeling_resnet', _transformers),
    'mmdet': ('mmdet', 'mmdet.models.backbones', _mmdet),
}
