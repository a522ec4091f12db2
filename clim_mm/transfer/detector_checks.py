"""Checks that a detector takes all that its pretraining has made, and trains it."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import CheckpointLoader
from torch import nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from clim_mm.checkpoints.backbone import read_backbone, with_counters
from clim_mm.checkpoints.normalization import check_normalization, normalization_of
from clim_mm.checkpoints.weights import compare, weights_of
from clim_mm.errors import ConfigError


def pretrained_part(detector: nn.Module) -> nn.Module:
    """The whole ResNet, with its stages under their own names: ``conv1``, ``bn1``, ``layer1`` to ``layer4``.

    With a C4 backbone the last stage is the head that all boxes share; the norm behind it is new, and left out.
    """
    part = nn.Module()
    for name, child in detector.get_submodule('backbone').named_children():
        part.add_module(name, child)
    shared = getattr(getattr(detector, 'roi_head', None), 'shared_head', nn.Module())
    for name, child in shared.named_children():
        if name.startswith('layer'):
            part.add_module(name, child)
    return part


def check_fits(part: nn.Module, preprocessor: Mapping[str, Any], checkpoint: str,
               kind: str) -> tuple[dict[str, torch.Tensor], str]:
    """Check that a detector can start from a checkpoint of a ``kind``, ``pretraining`` or ``supervised``.

    Returns:
        All weights by their names in ``part``, see :func:`pretrained_part`; a sentence on how images are normalised.
    """
    found = read_backbone(checkpoint)
    if found.classifies and kind == 'pretraining':
        raise ConfigError(f'{checkpoint} is a supervised ResNet under the names of {found.owner}: add `--start '
                          'supervised`, or give a checkpoint that a pretraining has written.')
    if not found.classifies and kind == 'supervised':
        raise ConfigError(f'{checkpoint} is no supervised ResNet as torchvision has them (conv1 to layer4, and the '
                          'classifier fc): leave out `--start supervised` for a pretraining, or save the state_dict '
                          'of torchvision\'s resnet50 with its weights.')
    own = part.state_dict()
    weights = with_counters(found.backbone, own)
    fit = compare(weights, own)
    if not fit.exact:
        raise ConfigError(f'{checkpoint}{found.origin} does not fit the detector\'s backbone ({fit.differences()}): '
                          'set model.backbone as the pretraining had it, or give another checkpoint.')
    return weights, check_normalization(normalization_of(preprocessor), found.normalization, checkpoint)


def check_nothing_frozen(part: nn.Module) -> int:
    """Check that every parameter trains; the number of parameter tensors."""
    parameters = dict(part.named_parameters())
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    if frozen:
        raise ConfigError(f'{len(frozen)} of the backbone\'s {len(parameters)} weights are frozen (first {frozen[0]}), '
                          'but all layers are to be trained: set frozen_stages=-1 and norm_cfg.requires_grad=True.')
    return len(parameters)


def check_norms_train(detector: nn.Module, processes: int) -> tuple[int, bool]:
    """Check that batch normalisation uses the batch's own statistics, those of all processes where that is possible.

    Returns:
        Number of the pretrained part's norms, and whether they are synchronised over several processes.
    """
    part = pretrained_part(detector)
    norms = {name: module for name, module in part.named_modules() if isinstance(module, _BatchNorm)}
    detector.train()  # MMDetection's, which leaves norms in evaluation mode if it is told to
    still = [name for name, norm in norms.items() if not norm.training]
    if still:
        raise ConfigError(f'{len(still)} of the backbone\'s {len(norms)} norms keep the pretraining\'s statistics '
                          f'(first {still[0]}), but they are to be trained: set norm_eval=False.')
    alone = [name for name, norm in norms.items() if not isinstance(norm, SyncBatchNorm)]
    if alone and processes > 1 and next(part.parameters()).is_cuda:
        raise ConfigError(f'{len(alone)} of the backbone\'s {len(norms)} norms see one GPU\'s images alone (first '
                          f'{alone[0]}), but they are to be synchronised: set norm_cfg.type="SyncBN".')
    return len(norms), not alone and processes > 1


def check_whole_detector(cfg: Config, checkpoint: str) -> None:
    """Check that a checkpoint has every weight of a config's detector; MMEngine would evaluate the rest at random."""
    weights = weights_of(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        fit = compare(weights, MODELS.build(cfg.model).state_dict())
    if not fit.exact:
        raise ConfigError(f'{checkpoint} is not a checkpoint of this config\'s detector ({fit.differences()}): give '
                          'one that tools/benchmarks/dist_train_det.sh has written with it.')
