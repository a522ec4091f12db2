"""Frozen features of an image folder, from a config and a checkpoint."""

from functools import partial
from typing import Optional

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, load_state_dict, set_random_seed

from clim_mm.checkpoints.fit import check_start, compare, weights_of
from clim_mm.datasets import SingleViews
from clim_mm.engine.extract import BATCH_SIZE, NUM_WORKERS, extract_features
from clim_mm.models import CLIM
from clim_mm.registry import MODELS


def load_model(cfg: Config, checkpoint: Optional[str] = None) -> CLIM:
    """The config's model, in eval mode, with a checkpoint's weights or freshly initialised by the config's seed.

    Args:
        cfg: The config.
        checkpoint: A file, or an address that MMEngine knows.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
        ConfigError: If it has no weights for the model, or one in another shape.
    """
    init_default_scope(cfg.default_scope)
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)
    model = MODELS.build(cfg.model)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')  # init_weights lists every parameter
    model.init_weights()
    logger.setLevel(level)
    if checkpoint is not None:
        weights = weights_of(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))
        check_start(compare(weights, model.state_dict()), f'checkpoint {checkpoint}')
        load_state_dict(model, weights)
    return model.to(get_device()).eval()


def frozen_features(model: CLIM,
                    views: SingleViews,
                    batch_size: int = BATCH_SIZE,
                    num_workers: int = NUM_WORKERS,
                    encoder: str = 'query',
                    layer: str = 'pooled') -> Optional[np.ndarray]:
    """Features of images by a model that is not trained.

    Args:
        model: A ``CLIM``, in eval mode.
        views: The images.
        batch_size: Images in a batch.
        num_workers: Of the DataLoader.
        encoder: ``query`` or ``momentum``.
        layer: ``pooled``, the average-pooled output of the backbone, or ``embedding``, that of the neck.

    Returns:
        (N, d) float32, L2-normalised, on rank 0; None on other processes.
    """
    return extract_features(partial(model.embed_batch, encoder=encoder, layer=layer), views, batch_size, num_workers)
