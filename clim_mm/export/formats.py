"""The files that other libraries read: their names of a ResNet's tensors, and what stands around these."""

import io
import json
import os
import os.path as osp
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

import torch
from torch import nn

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.backbone import KEY, header_in
from clim_mm.checkpoints.weights import COUNTER

_PROGRAM = '.pt2'  # ending of a program of torch.export
WEIGHTS_FILE = 'model.safetensors'  # in a folder for Hugging Face


@dataclass(frozen=True)
class Format:
    """How a library wants the weights.

    Attributes:
        rename: MMSelfSup's name of a tensor to the library's.
        write: Tensors and header to the contents of the files, by name; a single file has the name ``''``. None for
            :func:`program_file`, which takes the backbone.
        plain: Whether it is for plain ResNets alone, as other libraries have them.
        counters: Whether the library keeps ``num_batches_tracked``.
        endings: Allowed endings of the file's name.
    """

    rename: Callable[[str], str]
    write: Optional[Callable[[Mapping[str, torch.Tensor], Mapping[str, Any]], dict[str, bytes]]] = None
    plain: bool = True
    counters: bool = True
    endings: tuple[str, ...] = ('.pth', '.pt')

    def tensors(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A backbone's tensors by the library's names, in the same order."""
        return {self.rename(name): value for name, value in weights.items()
                if self.counters or not name.endswith(COUNTER)}


def detectron2_name(name: str) -> str:
    """The name in detectron2, such as ``res2.0.conv1.norm.weight``: it counts the stem as the first stage."""
    name = re.sub(r'layer(\d)', lambda stage: f'res{int(stage[1]) + 1}', name) if 'layer' in name else f'stem.{name}'
    name = name.replace('downsample.0', 'shortcut').replace('downsample.1', 'shortcut.norm')
    return re.sub(r'\bbn(\d)', r'conv\1.norm', name)


def huggingface_name(name: str) -> str:
    """The name in transformers' ``ResNetModel``: ``encoder.stages.0.layers.0.layer.0.normalization.weight``."""
    if 'layer' not in name:
        return re.sub(r'(conv|bn)1', lambda kind: f'embedder.embedder.{_KINDS[kind[1]]}', name)
    name = re.sub(r'layer(\d)\.', lambda stage: f'encoder.stages.{int(stage[1]) - 1}.layers.', name)
    name = name.replace('downsample.0', 'shortcut.convolution').replace('downsample.1', 'shortcut.normalization')
    return re.sub(r'(conv|bn)(\d)', lambda part: f'layer.{int(part[2]) - 1}.{_KINDS[part[1]]}', name)


_KINDS = dict(conv='convolution', bn='normalization')


def state_dict_file(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """A plain ``state_dict``, as torchvision and timm publish their weights."""
    plain = OrderedDict(tensors)
    plain._metadata = OrderedDict({KEY: dict(header)})  # type: ignore[attr-defined]  # as Module.state_dict() does
    return _saved(plain)


def mmdet_file(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """A checkpoint of MMEngine: ``state_dict`` and ``meta``."""
    return _saved(dict(meta={KEY: dict(header)}, state_dict=dict(tensors)))


def detectron2_file(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """A ``.pth`` of detectron2's model zoo; the heuristics match names by their endings, in FPN and C4 alike."""
    return _saved({'model': dict(tensors), '__author__': 'clim_mm', 'matching_heuristics': True, KEY: dict(header)})


def safetensors_file(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """Weights by the names given, with the header as metadata: it says how the network is built again."""
    from safetensors.torch import save
    metadata = {'format': 'pt', KEY: json.dumps(header)}
    return {'': save({name: value.contiguous() for name, value in tensors.items()}, metadata)}


def huggingface_folder(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """A folder for ``from_pretrained``: the model's settings, its weights, and how images are prepared."""
    files = {
        'config.json': _json(huggingface_config(tensors)),
        WEIGHTS_FILE: safetensors_file(tensors, header)[''],
    }
    wanted = header['input']
    if wanted['channel_order'] == 'RGB' and wanted['size'] is not None:  # transformers has no preparation for BGR
        files['preprocessor_config.json'] = _json(dict(
            image_processor_type='ConvNextImageProcessor', do_resize=True, size=dict(shortest_edge=wanted['size']),
            crop_pct=0.875,  # 224 of 256 pixels, as in every evaluation here
            do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
            image_mean=[mean / 255 for mean in wanted['mean']], image_std=[std / 255 for std in wanted['std']]))
    return files


def huggingface_config(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The settings of transformers' ``ResNetConfig`` for a plain ResNet's tensors by the names of ``ResNetModel``."""
    depths = [len({name.split('.')[4] for name in tensors if name.startswith(f'encoder.stages.{stage}.')})
              for stage in range(4)]
    is_bottleneck = 'encoder.stages.0.layers.0.layer.2.convolution.weight' in tensors
    return dict(
        model_type='resnet', architectures=['ResNetModel'], num_channels=3, embedding_size=64, hidden_act='relu',
        hidden_sizes=[(4 if is_bottleneck else 1) * channels for channels in (64, 128, 256, 512)], depths=depths,
        layer_type='bottleneck' if is_bottleneck else 'basic',
        downsample_in_first_stage=False, downsample_in_bottleneck=False)


class Features(nn.Module):
    """A backbone with the pooling of every evaluation here."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 3, H, W) images to (N, C, h, w), the last stage's output, and (N, C), its mean over the positions."""
        last = self.backbone(images)[-1]
        return last, last.mean(dim=(2, 3))


def program_file(backbone: nn.Module, header: Mapping[str, Any]) -> dict[str, bytes]:
    """A file for ``torch.export.load``: weights and computation, for images of any number and size."""
    any_size = dict(images={axis: torch.export.Dim.DYNAMIC for axis in (0, 2, 3)})
    program = torch.export.export(Features(backbone).eval(), (torch.zeros(2, 3, 64, 64), ), dynamic_shapes=any_size)
    for node in program.graph.nodes:
        node.meta.pop('stack_trace', None)  # paths of this machine
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={KEY: json.dumps(header)})
    return {'': file.getvalue()}


def read_header(path: Union[str, os.PathLike]) -> Optional[dict[str, Any]]:
    """The header of an exported file or folder; None if it has none."""
    path = osp.expanduser(os.fspath(path))
    if osp.isdir(path):
        path = osp.join(path, WEIGHTS_FILE)
    if path.endswith(_PROGRAM):
        with zipfile.ZipFile(path) as archive:
            text = next((archive.read(name) for name in archive.namelist() if name.endswith(f'/extra/{KEY}')), None)
    elif path.endswith('.safetensors'):
        from safetensors import safe_open
        with safe_open(path, 'pt') as file:
            text = (file.metadata() or {}).get(KEY)
    else:
        return header_in(read_checkpoint(path))
    return None if text is None else json.loads(text)


def _saved(content: Any) -> dict[str, bytes]:
    file = io.BytesIO()
    torch.save(content, file)
    return {'': file.getvalue()}


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + '\n').encode()


FORMATS = {
    'torchvision': Format(str, state_dict_file),
    'timm': Format(str, state_dict_file),
    'detectron2': Format(detectron2_name, detectron2_file, counters=False),  # none in its published files
    'mmdet': Format(str, mmdet_file),
    'huggingface': Format(huggingface_name, huggingface_folder, endings=('', )),
    'torch': Format(str, plain=False, endings=(_PROGRAM, )),
    'safetensors': Format(str, safetensors_file, plain=False, endings=('.safetensors', )),
}
