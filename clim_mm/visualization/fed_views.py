"""What the pipeline makes of a sample: the very pixels that the network is fed, and whose they are."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from clim_mm.datasets import NeighborPairs
from clim_mm.datasets.sample_randomness import GlobalRandomness
from clim_mm.device_views import DeferredView, rendered
from clim_mm.errors import ConfigError


@dataclass(frozen=True)
class FedView:
    """One input of the network.

    Attributes:
        image: (r, r, 3) uint8, RGB.
        role: ``query``, ``anchor_key`` or ``positive_key``; ``view`` if the sample is no pair.
        lam: Of a query, the weight of the anchor's key; None otherwise.
        share: Of a query, (r, r) float32, how much of each pixel is the positive's, 0 to 1; None otherwise.
    """

    image: np.ndarray
    role: str
    lam: Optional[float] = None
    share: Optional[np.ndarray] = None


@dataclass(frozen=True)
class FedSample:
    """A sample as the network gets it.

    Attributes:
        sample_idx: Of the anchor; another than was asked for if that is unreadable.
        positive_idx: Of the positive; -1 = none.
        views: In the order of the network's inputs.
    """

    sample_idx: int
    positive_idx: int
    views: list[FedView]


def fed_sample(dataset: Dataset, sample_idx: int, to_rgb: bool = True) -> FedSample:
    """Draw a sample as a worker of the training does.

    Args:
        dataset: A :class:`NeighborPairs`, or another dataset whose pipeline packs views.
        sample_idx: Of the anchor.
        to_rgb: Whether the model's preprocessor reverses the channels, as it must if images are read as BGR.

    Raises:
        ConfigError: If the pipeline gives no packed views.
        DataError: If the images cannot be read.
    """
    if not isinstance(dataset, NeighborPairs):
        inputs, _ = _unpacked(dataset[sample_idx])
        return FedSample(sample_idx, -1, [FedView(_picture(view, to_rgb), 'view') for view in inputs])
    watch = _ShareWatch()
    pipeline = dataset.pipeline
    try:
        dataset.pipeline = watch.along(pipeline)
        inputs, sample = _unpacked(dataset[sample_idx])
    finally:
        dataset.pipeline = pipeline
    views = []
    num_keys = (len(inputs) - len(sample.lam)) // 2  # queries, each with its lam, then the two images' keys
    for place, view in enumerate(inputs):
        image, query = _picture(view, to_rgb), place < len(sample.lam)
        role = 'query' if query else 'anchor_key' if place < len(sample.lam) + num_keys else 'positive_key'
        views.append(FedView(
            image, role, float(sample.lam[place]) if query else None,
            watch.shares[place] if query and watch.shares is not None else None))
    return FedSample(int(sample.sample_idx.value), int(sample.positive_idx), views)


class _ShareWatch:
    """Finds out whose each pixel is: what mixes black anchors with white positives by the same draws, tells the share.

    Attributes:
        shares: For each query (r, r) float32, 0 to 1; None if there is nothing to mix.
    """

    def __init__(self) -> None:
        self.shares: Optional[list[np.ndarray]] = None

    def along(self, pipeline: Compose) -> Compose:
        """The pipeline, watched where its views are there and not yet mixed."""
        steps: list[Any] = []
        for place, step in enumerate(pipeline.transforms):
            steps += [step, _AfterStep(self, pipeline.transforms[place + 1:])]
        return Compose(steps[:-1])

    def look(self, results: dict, steps_to_come: Sequence) -> None:
        """Run the rest of the pipeline on black and white, and leave no trace in the draws."""
        if 'positive_query' not in results or self.shares is not None:
            return
        before = GlobalRandomness.now()
        probe = copy.deepcopy(results)  # with its generators, so that they draw the same
        probe['query'] = [_painted(image, 0) for image in probe['query']]
        probe['positive_query'] = [_painted(image, 255) for image in probe['positive_query']]
        inputs, sample = _unpacked(Compose(steps_to_come)(probe))
        self.shares = [view.numpy().mean(axis=0, dtype=np.float32) / 255 for view in inputs[:len(sample.lam)]]
        before.restore()


@dataclass
class _AfterStep:
    watch: _ShareWatch
    steps_to_come: Sequence

    def __call__(self, results: dict) -> dict:
        self.watch.look(results, self.steps_to_come)
        return results


def _unpacked(packed: Any) -> tuple[list[torch.Tensor], Any]:
    if not isinstance(packed, dict) or 'inputs' not in packed or 'data_samples' not in packed:
        raise ConfigError('The pipeline of the training set packs no views: let it end with PackPair or '
                          'PackSelfSupInputs.')
    inputs, sample = list(packed['inputs']), packed['data_samples']
    if 'draws' not in packed:
        return inputs, sample
    # What DeviceViews makes of a batch of one.
    draws = {name: rows[None] for name, rows in packed['draws'].items()}
    finished = rendered([view[None] for view in inputs], draws['photometric'], draws.get('mixtures'), sample.plan)
    return [view[0].round().to(torch.uint8) for view in finished], sample


def _painted(view: Any, level: int) -> Any:
    """An image or a deferred view of one grey level in the place of another."""
    return view.painted(level) if isinstance(view, DeferredView) else np.full_like(view, level)


def _picture(view: torch.Tensor, to_rgb: bool) -> np.ndarray:
    image = view.numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(image[:, :, ::-1] if to_rgb else image)
