"""What the pipeline makes of a sample: the very pixels that the network is fed, and whose they are."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from clim_mm.datasets import stack_collate
from clim_mm.datasets.device_views import DeferredView, rendered
from clim_mm.datasets.sample_randomness import GlobalRandomness
from clim_mm.errors import ConfigError


@dataclass(frozen=True)
class FedView:
    """One input of the network.

    Attributes:
        image: (r, r, 3) uint8, RGB.
        role: The view's name, such as ``query``; ``view`` if the views have no names.
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
    """Draw a sample as a worker of the training does; ``to_rgb`` reverses the channels of images read as BGR."""
    watch = _ShareWatch()
    inputs, sample = _unpacked(watch.sample(dataset, sample_idx))
    if not isinstance(inputs, dict):
        return FedSample(sample_idx, -1, [FedView(_picture(view, to_rgb), 'view') for view in inputs])
    views = []
    for name, images in inputs.items():
        of_query = name == 'query'
        views += [FedView(_picture(view, to_rgb), name, float(sample.lam[place]) if of_query else None,
                          watch.shares[place] if of_query and watch.shares else None)
                  for place, view in enumerate(images)]
    return FedSample(int(sample.sample_idx.value), int(sample.positive_idx), views)


class _ShareWatch:
    """Finds whose each pixel is: what mixes black anchors with white positives by the same draws tells the share."""

    shares: Optional[list[np.ndarray]] = None  # for each query (r, r) float32, 0 to 1; None if there is nothing to mix

    def sample(self, dataset: Any, sample_idx: int) -> Any:
        """A sample, watched where its views are there and not yet mixed."""
        pipeline = getattr(dataset, 'pipeline', None)
        if not isinstance(pipeline, Compose):
            return dataset[sample_idx]
        steps: list[Any] = []
        for place, step in enumerate(pipeline.transforms):
            steps += [step, _AfterStep(self, pipeline.transforms[place + 1:])]
        try:
            dataset.pipeline = Compose(steps[:-1])
            return dataset[sample_idx]
        finally:
            dataset.pipeline = pipeline

    def look(self, results: dict, steps_to_come: Sequence) -> None:
        """Run the rest of the pipeline on black and white, and leave no trace in the draws."""
        if 'positive_query' not in results.get('views', ()) or self.shares is not None:
            return
        before = GlobalRandomness.now()
        probe = copy.deepcopy(results)  # with its generators, so that they draw the same
        for name, level in [('query', 0), ('positive_query', 255)]:
            probe['views'][name] = [_painted(image, level) for image in probe['views'][name]]
        inputs, sample = _unpacked(Compose(steps_to_come)(probe))
        self.shares = [view.numpy().mean(axis=0, dtype=np.float32) / 255 for view in inputs['query']]
        before.restore()


@dataclass
class _AfterStep:
    watch: _ShareWatch
    steps_to_come: Sequence

    def __call__(self, results: dict) -> dict:
        self.watch.look(results, self.steps_to_come)
        return results


def _unpacked(packed: Any) -> tuple[Any, Any]:
    if not isinstance(packed, dict) or 'inputs' not in packed or 'data_samples' not in packed:
        raise ConfigError('The pipeline of the training set packs no views: let it end with PackPair or '
                          'PackSelfSupInputs.')
    inputs, sample = packed['inputs'], packed['data_samples']
    if 'draws' not in packed:
        return inputs, sample
    # What DeviceViews makes of a batch of one.
    batch = stack_collate([packed])
    finished = rendered(batch['inputs'], batch['draws']['photometric'], batch['draws'].get('mixtures'), sample.plan)
    return {name: [view[0].round().to(torch.uint8) for view in views] for name, views in finished.items()}, sample


def _painted(view: Any, level: int) -> Any:
    """An image or a deferred view of one grey level in the place of another."""
    return view.painted(level) if isinstance(view, DeferredView) else np.full_like(view, level)


def _picture(view: torch.Tensor, to_rgb: bool) -> np.ndarray:
    image = view.numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(image[:, :, ::-1] if to_rgb else image)
