"""Checks that a detector takes all that its pretraining has made, and trains it, on all of its data."""

import os
import os.path as osp
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import CheckpointLoader
from torch import nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from clim_mm.causes import machine_error
from clim_mm.checkpoints.backbone import read_backbone, with_counters
from clim_mm.checkpoints.normalization import check_normalization, normalization_of
from clim_mm.checkpoints.weights import compare, weights_of
from clim_mm.config_file import dicts_below
from clim_mm.errors import ConfigError, DataError, on_one_line


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
    if found.classifies is not (kind == 'supervised'):
        raise ConfigError(f'{checkpoint} is {"a" if found.classifies else "no"} supervised ResNet (with the names of '
                          'torchvision\'s, its fc too): add `--start supervised` for one, leave it out for others.')
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
    """Check that batch normalisation uses the batch's own statistics, on GPUs those of all processes.

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


def check_annotations(cfg: Config, *loaders: str) -> None:
    """Check that the data of ``train``, ``val`` or ``test`` have all classes, and the images that they name.

    MMDetection would number the classes anew, and stop at the first image that lacks.
    """
    settings = [part for name in loaders for _, part in dicts_below(cfg.get(f'{name}_dataloader'))
                if part.get('ann_file')]
    for part in settings:
        with DefaultScope.overwrite_default_scope('mmdet'):
            dataset = DATASETS.build(dict(part, pipeline=[], lazy_init=True))
        path, kind, classes = dataset.ann_file, type(dataset).__name__, dataset.metainfo['classes']
        try:
            images = [image['img_path'] for image in dataset.load_data_list()]
        except Exception as error:  # whatever MMDetection makes of a file that is another one
            raise machine_error(error) or DataError(
                f'{kind} cannot read the annotations {path} ({type(error).__name__}: {on_one_line(error)}): put the '
                'data set there as docs/detection.md shows, or set data_root.') from error
        if len(getattr(dataset, 'cat_ids', classes)) != len(classes):
            raise DataError(f'{path} has {len(dataset.cat_ids)} categories for the {len(classes)} classes of {kind}: '
                            'give the full annotations of this version, or set metainfo and num_classes.')
        folders = set(map(osp.dirname, images))  # a look into each is enough for a hundred thousand files
        there = {folder: set(os.listdir(folder)) if osp.isdir(folder) else () for folder in folders}
        if absent := [image for image in images if osp.basename(image) not in there[osp.dirname(image)]]:
            raise DataError(f'{len(absent)} of the {len(images)} images of {path} are not there (first {absent[0]}): '
                            'put them there, or set data_root and data_prefix.')
