"""How far the training is, for what changes on its way: weights of losses, momenta."""

import math

from mmengine.logging import MessageHub


def training_share() -> float:
    """The share of the training's iterations that is done, 0 to 1; 0 outside a training.

    MMEngine's RuntimeInfoHook, which every Runner has, tells it to the current MessageHub, also after a resume.
    """
    hub = MessageHub.get_current_instance()
    max_iters = hub.get_info('max_iters', 0)
    return hub.get_info('iter', 0) / max_iters if max_iters else 0.0


def training_epoch() -> int:
    """The epoch, from 0; 0 outside a training."""
    return int(MessageHub.get_current_instance().get_info('epoch', 0))


def cosine_momentum(base: float, share: float) -> float:
    """The share that a momentum encoder keeps: from ``base`` to 1 by half a cosine [byol; as mmselfsup's CosineEMA]."""
    return 1 - (1 - base) * (math.cos(math.pi * share) + 1) / 2
