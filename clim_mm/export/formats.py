"""What the libraries read: from tensors and a header to the bytes of a file, or of the files of a folder."""

import io
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import nn

from clim_mm.checkpoints.backbone import KEY
from clim_mm.checkpoints.weights import COUNTER
from clim_mm.errors import MissingDependencyError

from . import names
from .header import PROGRAM, WEIGHTS_FILE
from .placing import ENDINGS
from .program import program_file

# Blocks of the stages and channels of their outputs are read off the tensors; this is what cannot be.
_SETTINGS = dict(
    model_type='resnet', architectures=['ResNetModel'], num_channels=3, hidden_act='relu',
    downsample_in_first_stage=False, downsample_in_bottleneck=False)
_SHARE_OF_SHORTER_SIDE = 0.875  # 224 of 256 pixels, as a refresh and every evaluation here take it


@dataclass(frozen=True)
class Format:
    """How a library wants the weights.

    Attributes:
        rename: From MMSelfSup's name of a tensor to the library's.
        write: From tensors and header to the contents of the files, by their names; a single file has the name ``''``.
        counters: Whether the library's model has the counters of batch normalisation.
        is_folder: Whether there are several files.
        program: From the backbone and the header to the contents, in place of ``write``, where the computation goes
            with the weights, so that any backbone will do.
        endings: Of the name of a file.
    """

    rename: Callable[[str], str]
    write: Optional[Callable[[Mapping[str, torch.Tensor], Mapping[str, Any]], dict[str, bytes]]] = None
    counters: bool = True
    is_folder: bool = False
    program: Optional[Callable[[nn.Module, Mapping[str, Any]], dict[str, bytes]]] = None
    endings: tuple[str, ...] = ENDINGS

    def tensors(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors of a backbone by the library's names, in the same order."""
        return {self.rename(name): value for name, value in weights.items()
                if self.counters or not name.endswith(COUNTER)}

    def files(self, backbone: nn.Module, header: Mapping[str, Any]) -> dict[str, bytes]:
        """The contents of the files of a backbone, by their names."""
        if self.program is not None:
            return self.program(backbone, header)
        assert self.write is not None
        return self.write(self.tensors(backbone.state_dict()), header)


def state_dict_file(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """A plain ``state_dict``, as torchvision and timm publish their weights."""
    plain = OrderedDict(tensors)
    plain._metadata = OrderedDict({KEY: dict(header)})  # type: ignore[attr-defined]  # as Module.state_dict() does
    return {'': _saved(plain)}


def mmdet_file(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """A checkpoint of MMEngine: ``state_dict`` and ``meta``."""
    return {'': _saved(dict(meta={KEY: dict(header)}, state_dict=dict(tensors)))}


def detectron2_file(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """What detectron2's ``DetectionCheckpointer`` reads from a ``.pth`` file.

    It looks for ``model``, and matches each name with the model's name that ends with it, whether it begins with
    ``backbone.bottom_up`` as in an FPN or with ``roi_heads`` as in a C4 model. ``__author__`` and
    ``matching_heuristics`` are as in its model zoo.
    """
    content = {'model': dict(tensors), '__author__': 'clim_mm', 'matching_heuristics': True, KEY: dict(header)}
    return {'': _saved(content)}


def huggingface_folder(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> dict[str, bytes]:
    """A folder for ``from_pretrained``: the model's settings, its weights, and how images are prepared.

    Raises:
        MissingDependencyError: If safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ModuleNotFoundError as error:
        raise MissingDependencyError('safetensors is missing, which files for Hugging Face are written with: `pip '
                                     'install safetensors`.') from error
    metadata = {'format': 'pt', KEY: json.dumps(header)}
    files = {
        'config.json': _json(huggingface_config(tensors)),
        WEIGHTS_FILE: save({name: value.contiguous() for name, value in tensors.items()}, metadata)
    }
    wanted = header['input']
    if wanted['channel_order'] == 'RGB' and wanted['size'] is not None:  # transformers has no preparation for BGR
        files['preprocessor_config.json'] = _json(dict(
            image_processor_type='ConvNextImageProcessor', do_resize=True, size=dict(shortest_edge=wanted['size']),
            crop_pct=_SHARE_OF_SHORTER_SIDE, do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
            image_mean=[mean / 255 for mean in wanted['mean']], image_std=[std / 255 for std in wanted['std']]))
    return files


def huggingface_config(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The settings of transformers' ``ResNetConfig`` that fit the tensors.

    Args:
        tensors: By the names of its ``ResNetModel``.
    """
    stages = range(4)
    depths = [len({name.split('.')[4] for name in tensors if name.startswith(f'encoder.stages.{stage}.')})
              for stage in stages]
    is_bottleneck = 'encoder.stages.0.layers.0.layer.2.convolution.weight' in tensors
    last = f'layer.{2 if is_bottleneck else 1}.convolution.weight'
    return dict(
        _SETTINGS, depths=depths, embedding_size=len(tensors['embedder.embedder.convolution.weight']),
        hidden_sizes=[len(tensors[f'encoder.stages.{stage}.layers.0.{last}']) for stage in stages],
        layer_type='bottleneck' if is_bottleneck else 'basic')


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + '\n').encode()


FORMATS = {
    'torchvision': Format(names.same, state_dict_file),
    'timm': Format(names.same, state_dict_file),
    'detectron2': Format(names.detectron2, detectron2_file, counters=False),  # none in its published files
    'mmdet': Format(names.same, mmdet_file),
    'huggingface': Format(names.huggingface, huggingface_folder, is_folder=True),
    'torch': Format(names.same, program=program_file, endings=(PROGRAM, )),
}
