"""lightly's ResNet-18 for small images, as wide as a job says, without its classifier."""

from lightly.models import ResNetGenerator
from torch import nn


def resnet18(job: dict, num_splits: int = 0) -> nn.Sequential:
    """From (N, 3, H, W) images to maps; ``num_splits`` groups of batch statistics, 0 for one."""
    resnet = ResNetGenerator('resnet-18', width=job['base_channels'] / 64, num_splits=num_splits)
    stem = nn.Sequential(resnet.conv1, resnet.bn1, nn.ReLU())
    return nn.Sequential(stem, resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4)
