"""The settings of a training on a folder: by the number of images, their size, the machine and the time [ours].

Where nothing else is said, a rule here is ours: what held in the studies (docs/study.md) for short trainings on small
sets, and the papers' settings for long ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

from clim_mm.checks import check_choice, check_whole


class Rates(NamedTuple):
    """Learning rates, each with the images of a step that it is for."""

    short: tuple[float, int]  # as configs/studies/cifar10_pilot.py chose them
    long: tuple[float, int]  # of the papers


METHODS = dict(
    clim=Rates((0.03, 40), (0.06, 512)), hsa=Rates((0.06, 40), (0.06, 512)), c2bin=Rates((0.1, 100), (0.05, 512)),
    mocov2=Rates((0.06, 40), (0.06, 512)), byol=Rates((0.1, 100), (0.05, 512)))
ARCHS = {'resnet18': 18, 'resnet34': 34, 'resnet50': 50, 'resnet101': 101}
MOST_EPOCHS = 1200  # the paper's longest
ENOUGH_EPOCHS = 20  # fewer than these, and a smaller network or view is worth more
_SHORT = 20_000  # optimizer steps, below which a training gets the settings of the studies
_SMALLEST_SIZE = 16
_SMALL_VIEW = 64  # pixels, up to which the network gets the stem for small images, and views are not blurred
_SLIM = 16  # channels of its first stage, instead of 64
# Network, channels of its first stage, and size of the views, from the best to what two cores train in minutes.
_LADDER = (('resnet50', 64, 224), ('resnet18', 64, 224), ('resnet18', 64, 112), ('resnet18', 64, 64),
           ('resnet18', _SLIM, 64), ('resnet18', _SLIM, 32))


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    Attributes:
        folder, num_images: The images.
        method: Of ``METHODS``.
        arch: Of ``ARCHS``.
        channels: Of the backbone's first stage.
        size: Side of the largest views, in pixels.
        batch: Images of a process.
        processes: How many train.
        on_gpu: Whether each has a GPU.
        workers: Of each process.
        bf16: Whether to compute in bfloat16, where autocast does.
        epochs: How long.
    """

    folder: str
    num_images: int
    method: str
    arch: str
    channels: int
    size: int
    batch: int
    processes: int
    on_gpu: bool
    workers: int
    bf16: bool = False
    epochs: int = 1

    @property
    def depth(self) -> int:
        """Of the ResNet."""
        return ARCHS[self.arch]

    @property
    def dim(self) -> int:
        """Length of the backbone's features."""
        return self.channels * (32 if self.depth >= 50 else 8)

    @property
    def has_small_views(self) -> bool:
        """Whether the network gets the stem for small images."""
        return self.size <= _SMALL_VIEW

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Of CLIM's views: two, as 224 and 160 in the paper, or one where the smaller would show little."""
        return (self.size, ) if self.has_small_views else (self.size, round(self.size * 160 / 224 / 8) * 8)

    @property
    def steps(self) -> int:
        """Optimizer steps of an epoch."""
        return self.num_images // (self.batch * self.processes)

    @property
    def is_short(self) -> bool:
        """Whether there are so few steps that they must go further."""
        return self.epochs * self.steps < _SHORT

    @property
    def lr(self) -> float:
        """Learning rate, in proportion to the images of a step."""
        rate, images = METHODS[self.method].short if self.is_short else METHODS[self.method].long
        return round(rate * self.batch * self.processes / images, 5)

    @property
    def weight_decay(self) -> float:
        """Of SGD: 1e-4 [paper A.1]; in short trainings 5e-4."""
        return 5e-4 if self.is_short else 1e-4

    @property
    def momentum(self) -> float:
        """Share that the momentum encoder keeps of itself at each step: 0.999 [moco]; in short trainings 0.99."""
        return 0.99 if self.is_short else 0.999

    @property
    def begin(self) -> int:
        """Epoch of the first refresh: after a tenth of the training, since a random network finds no neighbours.

        After a quarter of a short one, in which a tenth is too few steps to tell images from each other.
        """
        return max(1, round(self.epochs / (4 if self.is_short else 10))) if self.epochs > 1 else 0

    @property
    def interval(self) -> int:
        """Epochs from one refresh to the next: 5 [paper A.2], fewer in a short training."""
        return min(5, max(1, self.epochs // 10))

    def lasting(self, epochs: int) -> 'Recipe':
        """The same for so many epochs."""
        return replace(self, epochs=epochs)

    def lines(self) -> list[str]:
        """What was chosen and why, a line each."""
        network = f'{self.arch}{f" of {self.channels} channels" if self.channels != 64 else ""}'
        kind = 'as in short trainings' if self.is_short else 'as in the papers'
        said = [f'{self.method}, {network}, views of {" and ".join(map(str, self.views))} pixels',
                f'{self.epochs:,} epochs of {self.steps:,} steps, {self.batch * self.processes} images a step',
                f'learning rate {self.lr:g}, weight decay {self.weight_decay:g}, momentum encoder {self.momentum:g}, '
                f'{kind} ({self.epochs * self.steps:,} steps)']
        if self.uses_neighbors:
            said.append(f'neighbours from epoch {self.begin} on, every {self.interval} epochs: before that the network '
                        'finds none that are alike')
        return said

    @property
    def views(self) -> tuple[int, ...]:
        """Sides of the views, in pixels."""
        return self.resolutions if self.method == 'clim' else (self.size, )

    @property
    def uses_neighbors(self) -> bool:
        """Whether the method has positives from other images."""
        return self.method in ('clim', 'hsa')


def candidates(folder: str, num_images: int, short_side: int, method: str, cores: int, gpus: int,
               bf16: bool = False, arch: Optional[str] = None, size: Optional[int] = None) -> Iterator[Recipe]:
    """Recipes to be tried, the best first: of the networks and sizes that are left open.

    Args:
        num_images: That can be read.
        short_side: Of the images, in pixels; views are not made larger than the images.
        cores: Of the machine, shared by the processes.
        gpus: That train, a process each; 0 trains on the CPU in one process.
        bf16: Whether the machine computes in bfloat16.
        arch, size: If they are given, nothing else is tried.
    """
    check_choice('--method', method, METHODS)
    if arch is not None:
        check_choice('--arch', arch, ARCHS)
    check_whole('--size', size, least=_SMALLEST_SIZE, most=1024, optional=True)
    processes = max(1, gpus)
    most = max(_SMALLEST_SIZE, short_side // 8 * 8)
    seen = set()
    for name, channels, side in _LADDER:
        chosen = arch or name, 64 if arch else channels, size or min(side, most)
        if chosen in seen:
            continue
        seen.add(chosen)
        yield Recipe(folder, num_images, method, *chosen, batch=batch_of(num_images, gpus, chosen[2]),
                     processes=processes, on_gpu=gpus > 0, workers=max(1, min(8, cores // processes)), bf16=bf16)


def affordable(recipes: Iterable[Recipe], gpus: int) -> Recipe:
    """Of recipes from the best on, what is chosen where no time is given: the first on GPUs, a slim one on a CPU."""
    tried = list(recipes)
    return tried[0] if gpus else next((recipe for recipe in tried if recipe.channels == _SLIM), tried[-1])


def batch_of(num_images: int, gpus: int, size: int) -> int:
    """Images of a process: 64 on a GPU (256 of small views), 32 on a CPU (64), and eight steps in an epoch at least."""
    wanted = (256 if size <= _SMALL_VIEW else 64) if gpus else (64 if size <= _SMALL_VIEW else 32)
    most = num_images // (8 * max(1, gpus))
    return max(8, min(wanted, 2**max(3, most.bit_length() - 1)))
