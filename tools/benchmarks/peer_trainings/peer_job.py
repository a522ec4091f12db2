"""What a peer's training is given and gives back; it needs torch and torchvision alone, whoever's environment it is."""

import json
import multiprocessing
import re
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

_START = time.perf_counter()


class Epochs:
    """Clock of a training: when each epoch ended. The first one, in which workers start, counts for nothing."""

    def __init__(self, images_per_epoch: int) -> None:
        self.images_per_epoch = images_per_epoch
        self.ends: list[float] = []

    def ended(self, line: str) -> None:
        """Note the time; what the device has not finished is waited for."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        print(line, flush=True)

    def images_per_second(self) -> float:
        """Images of all epochs but the first, over their time."""
        return self.images_per_epoch * (len(self.ends) - 1) / (self.ends[-1] - self.ends[0])


def read_job() -> dict:
    """The settings in the file that the command line names; sets the number of threads."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job['threads'])
    return job


def peak_megabytes() -> float:
    """Most memory of this process and of its largest worker, in MB; on a GPU, of the device."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    own, ended = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # Workers that live on from epoch to epoch have not ended; Linux alone tells of them.
    told = [Path(f'/proc/{worker.pid}/status') for worker in multiprocessing.active_children()]
    living = [int(kib) for path in told if path.is_file()
              for kib in re.findall(r'^VmHWM:\s+(\d+) kB', path.read_text(), re.MULTILINE)]
    return (own + max(ended, *living, 0)) * 1024 / 1e6


@torch.no_grad()
def features_of(backbone: nn.Module, folder: str, job: dict) -> tuple[np.ndarray, np.ndarray]:
    """(N, d) float32 pooled features of the whole images below class folders, and their (N,) labels."""
    backbone.eval()
    device = next(backbone.parameters()).device
    whole = transforms.Compose([
        transforms.Resize((job['side'], job['side'])), transforms.ToTensor(),
        transforms.Normalize(job['mean'], job['std'])])
    loader = DataLoader(ImageFolder(folder, whole), 256, num_workers=job['workers'])
    found = [(backbone(images.to(device)).flatten(1).cpu(), labels) for images, labels in loader]
    features, labels = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return features.astype(np.float32), labels


def write_result(job: dict, clock: Epochs, backbone: nn.Module) -> None:
    """Write features and figures; the figures last, since they say that all is there."""
    peak, seconds = peak_megabytes(), time.perf_counter() - _START
    parts = {}
    for part in ('train', 'test'):
        parts[part], parts[f'{part}_labels'] = features_of(backbone, f'{job["data"]}/{part}', job)
    np.savez(Path(job['out'], 'features.npz'), **parts)
    figures = dict(images_per_second=clock.images_per_second(), peak_mb=peak, seconds=seconds,
                   parameters=sum(value.numel() for value in backbone.parameters()), torch=torch.__version__)
    Path(job['out'], 'figures.json').write_text(json.dumps(figures))
