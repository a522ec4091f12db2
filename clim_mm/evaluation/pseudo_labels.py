"""Self-training: labels that a fine-tuned network gives to unlabelled images, where it is sure.

After what others say of HSA's semi-supervised protocol; its threshold is not known [third party].
"""

import math
from typing import Any, Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.weights import check_sound, compare, not_finite, weights_of, with_counters
from clim_mm.datasets import SingleViews
from clim_mm.errors import ConfigError
from clim_mm.registry import DATASETS, MODELS

from .extract import extract_features


def entropy_bits(logits: torch.Tensor) -> torch.Tensor:
    """(N,) entropies of the softmax of (N, C) logits, in bits: 0 if it is sure, log2 C if it knows nothing."""
    return torch.special.entr(logits.float().softmax(dim=1)).sum(dim=1) / math.log(2)


def confident(entropies: np.ndarray, labels: np.ndarray, max_entropy: float,
              most_per_class: Optional[int] = None) -> np.ndarray:
    """(n,) ascending places of the images whose entropy is at most ``max_entropy``.

    Args:
        entropies: (N,) float, in bits; NaN for images without one, which are left out.
        labels: (N,) int, the predicted classes.
        most_per_class: Of each predicted class the surest, at most so many. None for all.
    """
    order = np.argsort(entropies, kind='stable')
    order = order[entropies[order] <= max_entropy]  # NaN is not
    if most_per_class is not None:
        order = np.concatenate([order[labels[order] == label][:most_per_class] for label in np.unique(labels[order])]
                               or [order])
    return np.sort(order)


def classified(cfg: Config, checkpoint: str, dataset: Any, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entropies, in bits, and predicted classes of images, by a fine-tuned network: (N,) float32, (N,) int64.

    Args:
        cfg: Of the fine-tuning; the images are given in the view of its ``val_dataloader``.
        checkpoint: That the fine-tuning wrote.
        dataset: Tells which images there are.
        ids: (n,) of the images that are wanted. Of the others, and of unreadable ones, the entropies are NaN.
    """
    init_default_scope(cfg.default_scope)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    weights = with_counters(weights_of(read_checkpoint(checkpoint)), model.state_dict())
    fit = compare(weights, model.state_dict())
    if not fit.exact:
        raise ConfigError(f'{checkpoint} is no checkpoint of this fine-tuning ({fit.differences()}): give the config '
                          'and the checkpoint of a semi-supervised training, not that of the pretraining.')
    check_sound(not_finite('weights', weights), f'checkpoint {checkpoint}')
    model.load_state_dict(weights)
    model.to(get_device()).eval()

    def encode(batch: dict) -> torch.Tensor:
        inputs = model.data_preprocessor(dict(inputs=batch['inputs'][0]))['inputs']
        logits = model(inputs, mode='tensor')
        return torch.stack([entropy_bits(logits), logits.argmax(dim=1).float()], dim=1)

    loader = cfg.val_dataloader
    view = [*loader.dataset.pipeline[:-1], dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx'])]
    found = extract_features(encode, SingleViews(dataset, view), loader.batch_size, loader.num_workers, ids=ids)
    assert found is not None, 'this is the only process'
    return found[:, 0], np.nan_to_num(found[:, 1], nan=-1).astype(np.int64)


def whole_of(split: Any) -> Any:
    """All images of the folder, with their own labels, of which a :class:`LabelSplit`'s config names some."""
    source = {name: value for name, value in dict(split).items() if name not in ('split', 'pipeline')}
    return DATASETS.build(dict(source, type='clim_mm.ClassFolder', pipeline=[]))
