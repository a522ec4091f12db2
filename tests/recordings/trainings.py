"""The trainings that are recorded: each takes a config of a checkout, whatever shape its keys have there."""

from collections.abc import Callable
from dataclasses import dataclass

from mmengine.config import Config

_DIGITS = 'configs/clim/clim_r18_1xb32-20e_digits{}.py'


@dataclass(frozen=True)
class Training:
    """A training.

    Attributes:
        config: Its config, by the path in the checkout.
        epochs: How many.
        interval: Epochs between refreshes.
        processes: Started by ``tools/dist_train.sh`` if more than one.
        change: Changes the config further.
    """

    config: str
    epochs: int = 3
    interval: int = 1
    processes: int = 1
    change: Callable[[Config], None] = lambda cfg: None


def _accumulate(cfg: Config) -> None:
    cfg.train_dataloader.batch_size = 16
    cfg.optim_wrapper.accumulative_counts = 2


def _mocov2_of_digits(cfg: Config) -> None:
    """MMSelfSup's MoCo v2, with the digits' network on them.

    Its samples are drawn as the framework does, from the workers' global generators: since ``ImageSamples`` draws them
    by (seed, epoch, id), the config alone gives other views than it did before.
    """
    cfg.model.update(queue_len=256, momentum=0.99)
    cfg.model.backbone = dict(
        type='mmcls.ResNet_CIFAR', depth=18, base_channels=16, stem_channels=16, out_indices=(3, ))
    cfg.model.neck.update(in_channels=128, hid_channels=128)
    loader = cfg.train_dataloader
    loader.update(batch_size=32, num_workers=2, pin_memory=False)
    loader.dataset = dict(loader.dataset.pop('dataset', loader.dataset), pipeline=loader.dataset.pipeline)
    for name in ('quarantine', 'manifest'):
        cfg.default_hooks.pop(name, None)
    next(step for step in _dicts(loader.dataset) if str(step.get('type')).endswith('RandomResizedCrop')).size = 16
    cfg.optim_wrapper.optimizer.lr = 0.02


TRAININGS = dict(
    digits=Training(_DIGITS.format(''), epochs=20, interval=5),
    two_processes=Training(_DIGITS.format(''), processes=2),
    accumulation=Training(_DIGITS.format(''), change=_accumulate),
    device_views=Training(_DIGITS.format('_device')),
    multi_crop=Training(_DIGITS.format('_crops2x16and2x8')),
    bank=Training(_DIGITS.format('_bank')),
    mocov2=Training('configs/mocov2/mocov2_r50_16xb32-200e_in1k.py', change=_mocov2_of_digits))


def config_of(training: Training, tree: str, data: str) -> Config:
    """The training's config as it is in a checkout."""
    cfg = Config.fromfile(f'{tree}/{training.config}')
    training.change(cfg)
    cfg.train_cfg.max_epochs = training.epochs
    cfg.randomness = dict(seed=0, deterministic=True)
    for part in _dicts(cfg._cfg_dict):
        if 'data_root' in part:
            part.data_root = data
        if part.get('type') == 'CenterWiseNeighborHook':
            part.interval = training.interval
    if 'held_out' in cfg:
        cfg.held_out.data_prefix = 'test'
    cfg.default_hooks.preflight.seconds = 0  # nothing is measured
    return cfg


def _dicts(value):
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from _dicts(part)
