"""The check of an export: the library's own network, with the file loaded as its users do, gives the same features."""

import os.path as osp
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

import torch
import torchvision
from mmengine.runner import load_checkpoint
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from clim_mm.checkpoints import read_checkpoint
from clim_mm.errors import CheckpointError

from .formats import FORMATS, WEIGHTS_FILE, Features, read_header
from .pretraining import rebuilt

MOST = 1e-5  # difference of float32 features
Network = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]  # as Features


class Library(NamedTuple):
    """A library's name with its version, and how it loads a file, by its path and the depth of the ResNet."""

    name: str
    load: Callable[[str, int], Network]


def library_of(target: str) -> Library:
    """The target itself where it is installed, otherwise torchvision, which takes the file by names mapped back."""
    if target in _OWN:
        package, module, load = _OWN[target]
        # It may be absent, lack its compiled parts, or (mmdet asserts it) not fit the versions of the others.
        with suppress(ImportError, AssertionError):
            import_module(module)
            return Library(f'{package} {import_module(package).__version__}', load)
    mapped = '' if target == 'torchvision' else ', with the names mapped back'
    return Library(f'torchvision {torchvision.__version__}{mapped}',
                   lambda path, depth: _torchvision(path, depth, target))


@torch.no_grad()
def check_parity(original: nn.Module, library: Library, path: str, depth: int) -> float:
    """Compare a backbone in eval mode with a library's network that loads the exported file, on two random images.

    Returns:
        The largest difference of the last stage's output or of its mean over the positions.
    """
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    differences = [(a - b).abs().max() if a.shape == b.shape else torch.tensor(float('inf'))
                   for a, b in zip(Features(original)(images), library.load(path, depth)(images), strict=True)]
    difference = torch.stack(differences).max().item()  # Python's max would lose a NaN
    if not difference <= MOST:  # true of NaN as well
        raise CheckpointError(f'The features of {library.name} with the exported weights differ from the original by '
                              f'{difference:.1e}, more than {MOST:.0e}, so nothing is written: the backbone has '
                              'strides, dilations or norms of its own or non-finite weights, or the library is not of '
                              'the version that requirements/tests.txt has.')
    return difference


def _torchvision(path: str, depth: int, target: str) -> Network:
    model = getattr(torchvision.models, f'resnet{depth}')(weights=None)
    model.fc = nn.Identity()
    if target == 'huggingface':
        tensors = import_module('safetensors.torch').load_file(osp.join(path, WEIGHTS_FILE))
    else:
        loaded = read_checkpoint(path)
        tensors = loaded.get('model') or loaded.get('state_dict') or loaded
    back = {FORMATS[target].rename(name): name for name in model.state_dict()}
    model.load_state_dict({back[name]: value for name, value in tensors.items()})
    features = create_feature_extractor(model.eval(), ['layer4', 'flatten'])
    return lambda images: tuple(features(images).values())


def _timm(path: str, depth: int) -> Network:
    model = import_module('timm').create_model(f'resnet{depth}', num_classes=0, checkpoint_path=path).eval()
    return lambda images: (model.forward_features(images), model(images))


def _transformers(path: str, depth: int) -> Network:
    model = import_module('transformers').AutoModel.from_pretrained(path, local_files_only=True).eval()
    return lambda images: (model(images).last_hidden_state, model(images).pooler_output.flatten(1))


def _mmdet(path: str, depth: int) -> Network:
    model = import_module('mmdet.models.backbones').ResNet(depth=depth)
    load_checkpoint(model, path, map_location='cpu', strict=True)  # as init_cfg does, which lists every parameter
    model.eval()
    return Features(model)


def _torch(path: str, depth: int) -> Network:
    return torch.export.load(path).module()


def _safetensors(path: str, depth: int) -> Network:
    header: Any = read_header(path)
    weights = import_module('safetensors.torch').load_file(path)
    return Features(rebuilt(header['config']['model']['backbone'], weights, path))


# The package, the module that has to be there, and how the package loads a file. detectron2 is in no package index.
_OWN: dict[str, tuple[str, str, Callable[[str, int], Network]]] = {
    'timm': ('timm', 'timm.models', _timm),
    'torch': ('torch', 'torch.export', _torch),
    'safetensors': ('safetensors', 'safetensors.torch', _safetensors),
    'huggingface': ('transformers', 'transformers.models.resnet.modeling_resnet', _transformers),
    'mmdet': ('mmdet', 'mmdet.models.backbones', _mmdet),
}
