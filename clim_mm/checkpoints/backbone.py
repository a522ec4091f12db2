"""The backbone of a checkpoint, under whatever names it was published, and whether a module has taken all of it.

Others publish the same ResNets under other names. What is below ``backbone.`` has MMSelfSup's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import torch
from mmengine.runner import CheckpointLoader
from torch import nn

from clim_mm.errors import ConfigError

from .normalization import IMAGENET, saved_normalization
from .weights import changed, compare, weights_of, with_counters

SCHEME = 'backbone://'  # of MMEngine's loading of the backbone alone: backbone://FILE
KEY = 'clim_mm'  # under which an exported file has its header
BACKBONE = 'backbone.'
_PLACES = ('state_dict', 'model', 'teacher')  # of the weights in a file, in one another; the first counts
_FIRST, _BLOCK = 'conv1.weight', 'layer1.0.conv1.weight'  # by which a ResNet is recognised
_PARTS = ('conv1.', 'bn1.', 'layer1.', 'layer2.', 'layer3.', 'layer4.', 'stem.')
# Of how the names of a ResNet begin, behind DistributedDataParallel's `module.`: whose they are, and whether its images
# were certainly normalised as torchvision's.
_OWNERS = {'encoder_q.': ('MoCo', True), 'base_encoder.': ('MoCo v3', True), 'encoder.': ('solo-learn', False),
           '': ('', False)}


@dataclass(frozen=True)
class Published:
    """The weights of a checkpoint by the names that they have here."""

    weights: dict[str, torch.Tensor]  # of others' files the backbone alone; of MoCo's also neck and momentum encoder
    owner: str = ''  # whose names they had; empty for those of MMSelfSup
    normalization: Optional[dict[str, Any]] = None  # of its images, see `normalization_of`; None if that is not known
    classifies: bool = False  # whether it is a supervised network, with its classifier

    @property
    def backbone(self) -> dict[str, torch.Tensor]:
        """Its weights, by their names in it."""
        return {name.removeprefix(BACKBONE): value for name, value in self.weights.items() if name.startswith(BACKBONE)}

    @property
    def origin(self) -> str:
        """To be put behind a checkpoint's name; empty for one with the names of MMSelfSup."""
        return f' (under the names of {self.owner})' if self.owner else ''


def published(checkpoint: Mapping[str, Any]) -> Published:
    """Recognise what a checkpoint's file holds by its names."""
    place, held = None, checkpoint
    for _ in _PLACES:  # not for ever: a file may be made to hold itself
        if inner := next((name for name in _PLACES if isinstance(held.get(name), Mapping)), None):
            place, held = inner, held[inner]
    weights = weights_of(checkpoint if place is None else dict(state_dict=held))
    if wanted := (header_in(checkpoint) or {}).get('input'):
        told: Any = dict(mean=wanted['mean'], std=wanted['std'], order=wanted['channel_order'])
    else:
        told = saved_normalization(checkpoint.get('meta'))
    start = next((each for each in _OWNERS if {f'{each}{_FIRST}', f'{each}{_BLOCK}'} <= weights.keys()), None)
    if start is None:
        is_dino = place == 'teacher'
        return Published(weights, 'DINO' if is_dino else '', told or (IMAGENET if is_dino else None))
    own = {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}
    owner, is_imagenet = _OWNERS[start] if start else _owner_of_plain(own, place)
    found = {f'{BACKBONE}{name}': value for name, value in own.items() if name.startswith(_PARTS)}
    if owner == 'MoCo':
        found.update(_of_moco(weights))
    return Published(found, owner, told or (IMAGENET if is_imagenet else None), not start and 'fc.weight' in own)


def backbone_init(checkpoint: str) -> dict[str, Any]:
    """The ``init_cfg`` with which MMEngine starts a backbone from a checkpoint, under whatever names."""
    return dict(type='Pretrained', checkpoint=f'{SCHEME}{checkpoint}')


def is_of_backbone(init_cfg: Mapping[str, Any]) -> bool:
    """Whether an ``init_cfg`` means a checkpoint's backbone, and no other part of it by its prefix."""
    return (init_cfg.get('prefix') or BACKBONE).rstrip('.') == BACKBONE.rstrip('.')


def checkpoint_of(init_cfg: Any) -> str:
    """The checkpoint that a module's ``init_cfg`` names, without the scheme; empty for none."""
    checkpoint = init_cfg.get('checkpoint') if isinstance(init_cfg, Mapping) else None
    return (checkpoint or '').removeprefix(SCHEME)


def read_backbone(checkpoint: str) -> Published:
    """Read a checkpoint that has a backbone: a file, or an address that MMEngine knows."""
    found = published(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))
    if not found.backbone:
        raise ConfigError(f'{checkpoint} has no backbone (its {len(found.weights)} entries begin with '
                          f'{next(iter(found.weights), "nothing")}): give a checkpoint that a pretraining has written, '
                          'or a ResNet as MoCo, SwAV, DINO, torchvision, timm or solo-learn publish theirs.')
    return found


def check_landed(module: nn.Module, weights: Mapping[str, torch.Tensor], checkpoint: str) -> int:
    """Check that every weight of a module is the checkpoint's (``read_backbone``); give the number of tensors."""
    own = module.state_dict()
    weights = with_counters(weights, own)
    fit = compare(weights, own)
    if not fit.exact:
        raise ConfigError(f'The backbone does not take up {checkpoint} whole ({fit.differences()}): set the backbone '
                          'as the pretraining had it, or give another checkpoint.')
    if other := changed(own, weights):
        raise ConfigError(f'{len(other)} of the backbone\'s {len(own)} weights are not those of {checkpoint} (first '
                          f'{other[0]}): let nothing initialise the backbone after its checkpoint is loaded.')
    return len(own)


def header_in(loaded: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """The header of an exported file of ``torch.save``; None if there is none.

    A dictionary of tensors alone has it in ``_metadata``, so that it goes into ``load_state_dict`` as it is.
    """
    for place in (loaded, loaded.get('meta'), getattr(loaded, '_metadata', None)):
        header = place.get(KEY) if isinstance(place, Mapping) else None
        if isinstance(header, dict) and 'target' in header:
            return header
    return None


def _owner_of_plain(weights: Mapping[str, Any], place: Optional[str]) -> tuple[str, bool]:
    """Of a ResNet whose names begin with nothing; and whether its images were torchvision's."""
    if any(name.startswith(('projection_head', 'prototypes')) for name in weights):
        return 'SwAV', True
    if 'fc.weight' in weights:
        return 'torchvision and timm', True
    return 'torchvision, without its classifier', place == 'teacher'


def _of_moco(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The neck, and the momentum encoder if the file has one; as MMSelfSup has those of MoCo v2."""
    found = {}
    for name, value in weights.items():
        encoder, _, rest = name.partition('.')
        layer = rest.removeprefix('fc.')
        if encoder == 'encoder_q' and layer != rest:
            found[f'neck.mlp.{layer}'] = value
        elif encoder == 'encoder_k':
            found[f'encoder_k.module.{f"1.mlp.{layer}" if layer != rest else f"0.{rest}"}'] = value
    if 'encoder_k.module.0.conv1.weight' in found:
        found['encoder_k.steps'] = torch.ones((), dtype=torch.int64)  # at 0 it would become the query encoder's copy
    return found
