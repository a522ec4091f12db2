"""How a refresh takes features of a model: from which encoder and layer, and the settings under ``extract``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

import numpy as np
import torch
from mmengine import dist

from clim_mm.checks import MOST_WORKERS, check_bool, check_choice, check_keys, check_list, check_whole
from clim_mm.datasets import SingleViews

from .extract import NUM_WORKERS, extract_features


@dataclass(frozen=True)
class Extraction:
    """Features as ``CenterWiseNeighborHook`` takes them.

    Attributes:
        owner: Whose options they are, for messages.
        settings: ``pipeline`` of the one deterministic view; ``batch_size``, ``num_workers``, ``amp`` and
            ``channels_last``, if given.
        encoder: ``momentum`` or ``query``.
        layer: ``embedding`` or ``pooled``.

    Raises:
        ConfigError: If one of them is missing, misspelt or out of range.
    """

    owner: str
    settings: Mapping
    encoder: str
    layer: str

    def __post_init__(self) -> None:
        name = f'extract of {self.owner}'
        check_keys(
            name, self.settings, required=['pipeline'], allowed=['batch_size', 'num_workers', 'amp', 'channels_last'])
        check_list(f'{name}: pipeline', self.settings['pipeline'])
        check_whole(f'{name}: batch_size', self.settings.get('batch_size', 1), least=1)
        check_whole(f'{name}: num_workers', self.settings.get('num_workers', 0), most=MOST_WORKERS)
        for switch in ('amp', 'channels_last'):
            check_bool(f'{name}: {switch}', self.settings.get(switch, False))
        check_choice(f'encoder of {self.owner}', self.encoder, ('momentum', 'query'))
        check_choice(f'layer of {self.owner}', self.layer, ('embedding', 'pooled'))

    @property
    def num_workers(self) -> int:
        """Of each process's DataLoader."""
        return self.settings.get('num_workers', NUM_WORKERS)

    def encode_by(self, model: Any) -> Callable[[dict], torch.Tensor]:
        """From a collated batch to its features (B, d).

        Args:
            model: Whose encoder is meant.
        """
        options = {name: self.settings.get(name, False) for name in ('amp', 'channels_last')}
        return partial(model.embed_batch, encoder=self.encoder, layer=self.layer, **options)

    def features_of(self, model: Any, views: SingleViews, ids: Optional[np.ndarray] = None) -> Optional[np.ndarray]:
        """Features of images. All processes call it together.

        Args:
            model: Whose encoder is meant; its mode is what it was afterwards.
            views: The images, in the view of ``settings``.
            ids: (n,) int64, those that are wanted; None for all.

        Returns:
            (N, d) float32, L2-normalised, on rank 0, None on the others. The rows of unreadable images, and of those
            that are not wanted, are NaN.
        """
        # Each process has batch statistics of its own [moco]; features must come from one encoder.
        for buffer in model.encoder(self.encoder).buffers():
            dist.broadcast(buffer)
        was_training = model.training
        model.eval()
        try:
            return extract_features(self.encode_by(model), views, ids=ids, **loading_settings(self.settings))
        finally:
            model.train(was_training)


def loading_settings(settings: Mapping) -> dict[str, Any]:
    """What ``extract_features`` takes of the settings: ``batch_size`` and ``num_workers``, if given."""
    return {name: settings[name] for name in ('batch_size', 'num_workers') if name in settings}
