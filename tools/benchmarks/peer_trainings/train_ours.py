"""MoCo v2 of this project, as tools/train.py trains it; run by tools/benchmarks/peers.py.

    PYTHON train_ours.py JOB.json
"""

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner
from peer_job import Epochs, read_job, write_result
from torch import nn

from clim_mm.config_file import load_config
from clim_mm.distributed import prepare_launch, unwrapped
from clim_mm.launch.commands import errors_in_a_sentence, keep_memory, train
from clim_mm.launch.config_checks import check_config


class EpochClock(Hook):
    """Notes when each epoch ends."""

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Begin."""
        self.model = unwrapped(runner)
        loader = runner.train_dataloader
        self.clock = Epochs(len(loader) * loader.batch_size)

    def after_train_epoch(self, runner: Runner) -> None:
        """Note it."""
        self.clock.ended(f'epoch {runner.epoch + 1}')


class Pooled(nn.Module):
    """A backbone, and the mean over the places of its last output."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, d) features of (N, 3, H, W) images."""
        return self.backbone(images)[-1].mean(dim=(2, 3))


def main() -> None:
    job, hook = read_job(), EpochClock()
    with errors_in_a_sentence():
        cfg = load_config(job['config'], job['out'], cfg_options=job['options'])
        check_config(cfg)
        prepare_launch(cfg, 'none')
        if get_device() == 'cpu':
            keep_memory()
        train(cfg, [], hook)
        write_result(job, hook.clock, Pooled(hook.model.backbone))


if __name__ == '__main__':
    main()
