"""LightlyTrain's one call on a folder, for as long as a job says; run by tools/benchmarks/peers.py.

    PEER_PYTHON train_lightly_train.py JOB.json

Its default method starts from weights that it downloads; SimCLR, which it has too, starts from nothing. The network
is the job's. Epochs, which its schedule needs, are as many as fit into the job's seconds by a first one, not kept.
"""

import time
from pathlib import Path

import lightly_train
import torch
from lightly_network import resnet18
from peer_job import Epochs, read_job, write_result
from torch import nn


class Network(nn.Module):
    """A ResNet-18 for small images in LightlyTrain's form."""

    def __init__(self, job: dict) -> None:
        super().__init__()
        self.features = resnet18(job)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dim = job['pooled_dim']

    def forward_features(self, images: torch.Tensor) -> dict:
        """Maps of (N, 3, H, W) images."""
        return dict(features=self.features(images))

    def forward_pool(self, found: dict) -> dict:
        """Their means."""
        return dict(pooled_features=self.pool(found['features']))

    def feature_dim(self) -> int:
        """Length of a pooled feature."""
        return self.dim

    def get_model(self) -> nn.Module:
        """What is exported."""
        return self.features


def pretrain(job: dict, network: Network, folder: str, epochs: int) -> float:
    """Seconds that the call takes."""
    start = time.perf_counter()
    lightly_train.pretrain(
        out=str(Path(job['out'], folder)), data=f'{job["data"]}/train', model=network, method='simclr', epochs=epochs,
        num_workers=job['workers'], devices=1, seed=job['seed'], overwrite=True,
        transform_args=dict(image_size=(job['side'], job['side'])))
    return time.perf_counter() - start


def main() -> None:
    job = read_job()
    torch.manual_seed(job['seed'])
    seconds = pretrain(job, Network(job), 'trial', 1)
    epochs = max(1, int(job['seconds'] / seconds))
    network = Network(job)
    clock = Epochs(sum(1 for path in Path(job['data'], 'train').rglob('*') if path.is_file()) * epochs)
    clock.ended('begins')
    pretrain(job, network, 'training', epochs)
    clock.ended(f'{epochs} epochs')
    state = torch.load(Path(job['out'], 'training/exported_models/exported_last.pt'), weights_only=True)
    network.features.load_state_dict(state)
    write_result(job, clock, nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten()))


if __name__ == '__main__':
    main()
