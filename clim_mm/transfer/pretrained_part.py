"""The part of a detector that its pretraining has made, and whether it is loaded and trains."""

from torch import nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from clim_mm.errors import ConfigError


def pretrained_part(detector: nn.Module) -> nn.Module:
    """The whole ResNet, with its stages under their own names: ``conv1``, ``bn1``, ``layer1`` to ``layer4``.

    With a C4 backbone the last stage is the head that all boxes share; the norm behind it is new, and left out.

    Raises:
        ConfigError: If the detector has no backbone.
    """
    backbone = getattr(detector, 'backbone', None)
    if not isinstance(backbone, nn.Module):
        raise ConfigError(f'The preflight of a transfer wants a detector with a backbone, not '
                          f'{type(detector).__name__}: take TransferPreflightHook out of custom_hooks.')
    shared = getattr(getattr(detector, 'roi_head', None), 'shared_head', None)
    part = nn.Module()
    for module in (backbone, shared):
        for name, child in module.named_children() if isinstance(module, nn.Module) else ():
            if name.startswith('layer') or module is backbone:
                part.add_module(name, child)
    return part


def check_nothing_frozen(part: nn.Module) -> int:
    """Check that every parameter trains.

    Returns:
        Number of parameter tensors.

    Raises:
        ConfigError: If one is frozen.
    """
    parameters = dict(part.named_parameters())
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    if frozen:
        raise ConfigError(f'{len(frozen)} of the backbone\'s {len(parameters)} weights are frozen (first {frozen[0]}), '
                          'but all layers are to be trained: set frozen_stages=-1 and norm_cfg.requires_grad=True.')
    return len(parameters)


def check_norms_train(detector: nn.Module, processes: int) -> tuple[int, bool]:
    """Check that batch normalisation uses the batch's own statistics, those of all processes where that is possible.

    It is the detector's own ``train()`` that leaves norms in evaluation mode. Modes are afterwards what they were.

    Args:
        detector: Of which the pretrained part is looked at.
        processes: Of the training.

    Returns:
        Number of norms, and whether they are synchronised over several processes.

    Raises:
        ConfigError: If there is none, one stays in evaluation mode, or one is a process's own on several GPUs.
    """
    part = pretrained_part(detector)
    norms = {name: module for name, module in part.named_modules() if isinstance(module, _BatchNorm)}
    if not norms:
        raise ConfigError('The backbone has no batch normalisation, which the pretraining\'s has: set its norm_cfg to '
                          'dict(type="SyncBN", requires_grad=True).')
    modes = {module: module.training for module in detector.modules()}
    try:
        detector.train()
        still = [name for name, norm in norms.items() if not norm.training]
    finally:
        for module, mode in modes.items():
            module.training = mode
    if still:
        raise ConfigError(f'{len(still)} of the backbone\'s {len(norms)} norms keep the pretraining\'s statistics '
                          f'(first {still[0]}), but they are to be trained: set norm_eval=False.')
    alone = [name for name, norm in norms.items() if not isinstance(norm, SyncBatchNorm)]
    on_gpu = next(part.parameters()).is_cuda
    if alone and on_gpu and processes > 1:
        raise ConfigError(f'{len(alone)} of the backbone\'s {len(norms)} norms see one GPU\'s images alone (first '
                          f'{alone[0]}), but they are to be synchronised: set norm_cfg.type="SyncBN".')
    return len(norms), not alone and processes > 1
