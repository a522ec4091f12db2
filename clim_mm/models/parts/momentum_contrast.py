"""What methods of the MoCo family share: two encoders, shuffled keys, and the queue that the keys enter."""

import math
from collections.abc import Sequence
from typing import Any, Optional

import torch

from clim_mm.checks import check_bool, check_whole
from clim_mm.errors import ConfigError, some_of
from clim_mm.neighbors.defaults import PAPER_QUEUE_LEN

from .contrastive_health import CONTRASTIVE, step_figures
from .encoder import LAST
from .followed_encoder import FollowedEncoder, finite
from .key_queue import NO_POSITIVE, KeyQueue, adapt_state
from .key_shuffle import Features, KeyShuffle


class MomentumContrast(FollowedEncoder):
    """Base of :class:`CLIM` and :class:`HSA`, which only have to tell the ``loss`` of named views.

    Args:
        backbone, neck, head, channels_last, data_preprocessor: As for :class:`FollowedEncoder`.
        queue_len: K, negative keys kept. 65536 [moco]. None leaves it to ``QueueHook`` or a loaded checkpoint.
        feat_dim: C, the dimension of a key. 128 [moco].
        momentum: m, the share of itself that the momentum encoder keeps. 0.999 [moco].
        bn_splits: Groups of batch statistics among which the keys are shuffled, see :class:`KeyShuffle`.
        mask_own_keys: Leave out of the negatives what the queue holds of the query's own images, from earlier epochs.
            None leaves it to ``QueueHook``, which turns it on for small sets [ours].
        enqueue_positives: Let the positives' keys enter the queue too, behind the anchors' of the batch [ours]. False:
            the anchors' alone [csml].
    """

    health_rules = CONTRASTIVE

    def __init__(self,
                 backbone: dict,
                 neck: dict,
                 head: dict,
                 queue_len: Optional[int] = PAPER_QUEUE_LEN,
                 feat_dim: int = 128,
                 momentum: float = 0.999,
                 bn_splits: Optional[int] = None,
                 mask_own_keys: Optional[bool] = None,
                 enqueue_positives: bool = False,
                 channels_last: bool = False,
                 data_preprocessor: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        check_whole('model.queue_len', queue_len, least=1, optional=True)
        check_whole('model.bn_splits', bn_splits, least=1, optional=True)
        check_whole('model.feat_dim', feat_dim, least=1)
        check_bool('model.mask_own_keys', mask_own_keys, optional=True)
        check_bool('model.enqueue_positives', enqueue_positives)
        super().__init__(backbone, neck, head, momentum, channels_last, data_preprocessor, init_cfg)
        if self.feature_dims != {feat_dim}:
            raise ConfigError(f'model.neck gives features of {some_of(sorted(self.feature_dims))} dimensions, but '
                              f'model.feat_dim, that of the keys in the queue, is {feat_dim}: set the two alike.')
        self.levels = (LAST, ) if 'type' in neck else tuple(neck)
        self.queue = KeyQueue(feat_dim, queue_len or 0, len(self.levels))
        self.register_load_state_dict_pre_hook(adapt_state)
        self.key_shuffle = KeyShuffle(bn_splits)
        self.key_shuffle.split(self)
        self.mask_own_keys = mask_own_keys
        self.enqueue_positives = enqueue_positives

    def forward(self, inputs: Any, data_samples: Optional[list] = None, mode: str = 'tensor') -> Any:
        """The losses of views in mode ``loss``, else the backbone's maps of (N, 3, H, W) images.

        Two views without names, as of ``mmselfsup.MultiView``, are MoCo's: a query and a key of the same image.
        """
        if mode == 'loss' and isinstance(inputs, list) and len(inputs) == 2:
            inputs = dict(query=inputs[:1], anchor_query=inputs[:1], anchor_key=inputs[1:])
        return super().forward(inputs, data_samples, mode)

    def views(self, inputs: Any, *names: str) -> list[list[torch.Tensor]]:
        """The named views of a batch that the method needs."""
        if not isinstance(inputs, dict) or not all(inputs.get(name) for name in names):
            raise ConfigError(f'{type(self).__name__} takes views by the names {", ".join(names)}: let the pipeline '
                              'have PairViews that draws them, and end with PackPair.')
        return [inputs[name] for name in names]

    @torch.no_grad()
    def keys(self, views: Sequence[torch.Tensor]) -> list[Features]:
        """Keys of a batch's views, in its first of an optimizer step by the momentum encoder moved on."""
        if not self.queue.has_waiting:
            self.encoder_k.update_parameters(self.encoder('query'))
        return [self.key_shuffle.keys(self.encoder_k, x) for x in views]

    def negatives(self) -> Features:
        """(C, K) negative keys, by level."""
        # Keys that enter before backward must not change what it needs; `advance` lets them enter after it.
        return {level: keys.clone() if self.advance_after_loss else keys
                for level, keys in zip(self.levels, self.queue.keys.chunk(len(self.levels)), strict=True)}

    @property
    def at_chance(self) -> float:
        """The NCE of a query that is as near to its key as to the K negatives."""
        return math.log(1 + len(self.queue))

    def figures(self, nce: torch.Tensor, q: torch.Tensor, lam: torch.Tensor, anchor_keys: Features,
                positive_keys: Optional[Features], positive_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """What is logged beside the loss, of the last level and one resolution.

        Args:
            nce: Scalar, the mean loss of the last level.
            q: (N, C) queries.
            lam: (N,) weight of the anchor's key in their loss.
            anchor_keys, positive_keys: By level, (N, C); None of the positives' is MoCo.
            positive_ids: (N,) int64, below 0 for none.
        """
        last = self.levels[-1]
        figures = step_figures(q, anchor_keys[last], (positive_keys or anchor_keys)[last],
                               self.queue.keys[-self.queue.dim:], lam)
        figures['relative_nce'] = nce.detach() / self.at_chance
        figures['queue_fill'] = self.queue.fill
        if positive_keys:
            figures['without_positive'] = (positive_ids < 0).float().mean()
        return figures

    def enqueue(self, loss: torch.Tensor, anchor_keys: Features, positive_keys: Optional[Features],
                anchor_ids: torch.Tensor, positive_ids: torch.Tensor) -> None:
        """Let a batch's keys of one resolution enter the queue, if its loss is finite.

        Raises:
            TrainingError: If the loss is not finite. Nothing has entered the queue then.
        """
        finite(loss)
        self.queue.wait(torch.cat([*anchor_keys.values()], dim=1), anchor_ids)
        if self.enqueue_positives and positive_keys:
            ids = torch.where(positive_ids == NO_POSITIVE, anchor_ids, positive_ids)
            self.queue.wait(torch.cat([*positive_keys.values()], dim=1), ids)
        if self.advance_after_loss:
            self.advance()

    @property
    def embedding_dim(self) -> int:
        """C."""
        return self.queue.dim

    @property
    def queues(self) -> dict[str, KeyQueue]:
        """The queue, which has the keys of all levels."""
        return {self.levels[-1]: self.queue}

    @property
    def keys_per_sample(self) -> int:
        """How many keys of a sample with a positive view enter the queue."""
        return 2 if self.enqueue_positives else 1

    def advance(self) -> None:
        """Let the keys of an optimizer step, of all processes, enter the queue; the oldest leave it."""
        self.queue.advance()

    def upgrade_state(self, state_dict: dict[str, Any]) -> None:
        """Give the queue in a state of MoCo or an older CLIM its names here, and take its length."""
        adapt_state(self, state_dict, '')


def largest(views: Sequence[torch.Tensor]) -> int:
    """The place of the largest view, the first if there are several: its keys enter the queue [ours]."""
    return max(range(len(views)), key=lambda i: views[i].shape[-1])
