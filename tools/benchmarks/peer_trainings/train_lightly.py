"""MoCo v2 by lightly's parts, as its own example puts them together; run by tools/benchmarks/peers.py.

    PEER_PYTHON train_lightly.py JOB.json
"""

import copy

import torch
from lightly.data import LightlyDataset
from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead
from lightly.models.utils import batch_shuffle, batch_unshuffle, deactivate_requires_grad, update_momentum
from lightly.transforms import MoCoV2Transform
from lightly_network import resnet18
from peer_job import Epochs, read_job, write_result
from torch import nn
from torch.utils.data import DataLoader


class MoCo(nn.Module):
    """A network and a projection, and the copies of both that follow them."""

    def __init__(self, job: dict) -> None:
        super().__init__()
        self.backbone = nn.Sequential(resnet18(job, job['bn_splits']), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.projection_head = MoCoProjectionHead(job['pooled_dim'], job['hidden_dim'], job['feat_dim'])
        self.backbone_momentum = copy.deepcopy(self.backbone)
        self.projection_head_momentum = copy.deepcopy(self.projection_head)
        deactivate_requires_grad(self.backbone_momentum)
        deactivate_requires_grad(self.projection_head_momentum)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Queries of (N, 3, H, W) images."""
        return self.projection_head(self.backbone(images))

    @torch.no_grad()
    def keys(self, images: torch.Tensor) -> torch.Tensor:
        """Keys of (N, 3, H, W) images, encoded in a random order."""
        shuffled, order = batch_shuffle(images)
        return batch_unshuffle(self.projection_head_momentum(self.backbone_momentum(shuffled)), order)

    def follow(self, momentum: float) -> None:
        """Move the copies."""
        update_momentum(self.backbone, self.backbone_momentum, m=momentum)
        update_momentum(self.projection_head, self.projection_head_momentum, m=momentum)


def views_of(job: dict) -> MoCoV2Transform:
    """The job's augmentations by lightly's transform."""
    brightness, contrast, saturation, hue = job['jitter']
    return MoCoV2Transform(
        input_size=job['side'], min_scale=job['smallest_scale'], cj_prob=job['jitter_prob'], cj_strength=1.0,
        cj_bright=brightness, cj_contrast=contrast, cj_sat=saturation, cj_hue=hue, random_gray_scale=job['gray_prob'],
        gaussian_blur=0.0, hf_prob=job['flip_prob'], normalize=dict(mean=job['mean'], std=job['std']))


def main() -> None:
    job = read_job()
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    torch.manual_seed(job['seed'])
    model = MoCo(job).to(device)
    criterion = NTXentLoss(job['temperature'], memory_bank_size=(job['queue_len'], job['feat_dim'])).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=job['lr'], momentum=job['sgd_momentum'],
                                weight_decay=job['weight_decay'])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, job['epochs'])
    loader = DataLoader(
        LightlyDataset(f'{job["data"]}/train', transform=views_of(job)), job['batch_size'], shuffle=True,
        drop_last=True, num_workers=job['workers'], persistent_workers=job['workers'] > 0,
        pin_memory=device.type == 'cuda')
    clock = Epochs(len(loader) * job['batch_size'])
    for epoch in range(job['epochs']):
        for (query, key), _, _ in loader:
            model.follow(job['encoder_momentum'])
            loss = criterion(model(query.to(device, non_blocking=True)), model.keys(key.to(device, non_blocking=True)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        clock.ended(f'epoch {epoch + 1}: loss {loss.item():.3f}')
    write_result(job, clock, model.backbone)


if __name__ == '__main__':
    main()
