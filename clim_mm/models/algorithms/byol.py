"""BYOL: from a batch of two views to the loss."""

from collections.abc import Sequence
from typing import Any

import torch

from clim_mm.checks import check_bool
from clim_mm.errors import ConfigError
from clim_mm.host import SelfSupDataSample
from clim_mm.registry import MODELS

from ..parts.bootstrap_health import BOOTSTRAP, bootstrap_figures
from ..parts.encoder import LAST, at_least_float32, normalized
from ..parts.followed_encoder import FollowedEncoder, finite
from ..parts.training_progress import cosine_momentum, training_share


@MODELS.register_module()
class BYOL(FollowedEncoder):
    """Bootstrap Your Own Latent: https://arxiv.org/abs/2006.07733.

    The prediction of each view's projection is drawn to the target's projection of the other view; the target is the
    moving average of backbone and projector. Losses, gradients and targets are those of ``mmselfsup.BYOL``, but the
    target moves once per optimizer step, and its momentum follows the training's share.

    Args:
        backbone, channels_last, data_preprocessor: As for :class:`FollowedEncoder`.
        neck: Of the projector.
        head: Has a ``predictor`` and a ``loss`` of predictions and targets, as ``mmselfsup.LatentPredictHead``.
        momentum: t, the share of itself that the target keeps at first. 0.996 [ProPos; mmselfsup's class default].
        cosine: Let the momentum rise to 1 by half a cosine [byol]. False keeps it [ProPos on CIFAR-10].

    Attributes:
        embedding_dim: C, the dimension of a projection.
    """

    health_rules: Any = BOOTSTRAP

    def __init__(self, backbone: dict, neck: dict, head: dict, momentum: float = 0.996, cosine: bool = True,
                 channels_last: bool = False, **kwargs: Any) -> None:
        check_bool('model.cosine', cosine)
        super().__init__(backbone, neck, head, momentum, channels_last, **kwargs)
        (self.embedding_dim, ) = self.feature_dims
        self.momentum = momentum
        self.cosine = cosine
        self._target_moved = False  # in this optimizer step

    def loss(self, inputs: Sequence[torch.Tensor],
             data_samples: Sequence[SelfSupDataSample]) -> dict[str, torch.Tensor]:
        """The loss of a batch; the first of an optimizer step moves the target.

        Args:
            inputs: Two views, (N, 3, H, W) each.
            data_samples: Not looked at.

        Returns:
            ``loss``, and ``bootstrap_figures`` to be logged.

        Raises:
            TrainingError: If the loss is not finite.
        """
        _, loss, figures = self.bootstrap(inputs)
        return dict(loss=finite(loss), **figures)

    def bootstrap(self, inputs: Sequence[torch.Tensor]) -> tuple[list[Any], torch.Tensor, dict[str, torch.Tensor]]:
        """Both views' maps of the backbone, the symmetric loss, and figures.

        With ``head.loss`` 1 - cos the loss is the sum over both views of 2 - 2 cos, 0 to 8 [byol].
        """
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ConfigError(f'{type(self).__name__} takes two views of each image: let the pipeline have MultiView '
                              'with num_views=2, and end with PackSelfSupInputs, as '
                              'configs/_base_/datasets/imagenet_two_views.py.')
        online = self.encoder('query')
        maps = [online.maps(x) for x in inputs]
        projections = [self.neck(of_view)[0] for of_view in maps]  # 2 x (N, C)
        with torch.no_grad():
            self._move_target()
            targets = [self.encoder_k(x)[LAST] for x in inputs]  # 2 x (N, C)
        predictions = [at_least_float32(self.head.predictor([projection])[0]) for projection in projections]
        loss = 2 * sum(self.head.loss(prediction, target.detach())
                       for prediction, target in zip(predictions, reversed(targets), strict=True))
        return maps, loss, bootstrap_figures(normalized(projections[0]), normalized(predictions[0]), targets[1])

    def advance(self) -> None:
        """End an optimizer step: the next loss moves the target."""
        self._target_moved = False

    def _move_target(self) -> None:
        if self.advance_after_loss or not self._target_moved:
            if self.cosine:
                self.encoder_k.momentum = 1 - cosine_momentum(self.momentum, training_share())
            self.encoder_k.update_parameters(self.encoder('query'))
        self._target_moved = True
