"""CLIM: from a batch of named views to the loss."""

import math
from collections.abc import Sequence
from typing import Any, Optional

import torch
from mmengine.model import BaseModel

from clim_mm.checks import check_bool, check_number, check_whole
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.host import SelfSupDataSample
from clim_mm.neighbors.defaults import PAPER_QUEUE_LEN
from clim_mm.registry import MODELS

from ..parts.contrastive_health import CONTRASTIVE, step_figures
from ..parts.encoder import LAST, EmbedsFirstView, Encoder, MomentumEncoder, check_encoder
from ..parts.key_queue import NO_POSITIVE, KeyQueue, adapt_state, image_ids
from ..parts.key_shuffle import KeyShuffle
from ..parts.view_preprocessor import Views


@MODELS.register_module()
class CLIM(EmbedsFirstView, BaseModel):
    """Center-wise Local Image Mixture: https://arxiv.org/abs/2011.02697.

    MoCo v2 whose query is an image mixed with one of its neighbours, pulled towards the keys of both, for
    every ordered pair of resolutions. With unmixed views of one resolution it is MoCo v2.

    Args:
        backbone, neck, head: Their configs. The head is called as a :class:`MixedContrastiveHead`.
        queue_len: K, negative keys kept. 65536 [moco]. None leaves it to ``QueueHook`` or a loaded checkpoint.
        feat_dim: C, the dimension of a key. 128 [moco].
        momentum: m, the share of itself that the momentum encoder keeps. 0.999 [moco].
        bn_splits: Groups of batch statistics among which the keys are shuffled, see :class:`KeyShuffle`.
        mask_own_keys: Leave out of the negatives what the queue holds of the query's own two images, from earlier
            epochs. None leaves it to ``QueueHook``, which turns it on for small sets [ours].
        sum_pairs: Sum the loss over the pairs of resolutions [paper 3.3]. False takes the mean [ours].
        enqueue_positives: Let the positives' keys enter the queue too, behind the anchors' of the batch [ours]. False:
            the anchors' alone [csml].
        channels_last: Keep images, features and the weights of convolutions in ``torch.channels_last``.
        data_preprocessor: A ``ViewPreprocessor``, if no other type is given.

    Attributes:
        advance_after_loss: Whether each ``loss`` is one optimizer step. If not, the keys wait for ``advance``.
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
                 sum_pairs: bool = False,
                 enqueue_positives: bool = False,
                 channels_last: bool = False,
                 data_preprocessor: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        check_whole('model.queue_len', queue_len, least=1, optional=True)
        check_whole('model.bn_splits', bn_splits, least=1, optional=True)
        check_whole('model.feat_dim', feat_dim, least=1)
        check_number('model.momentum', momentum, above=0, below=1)
        check_bool('model.mask_own_keys', mask_own_keys, optional=True)
        for name, switch in [('sum_pairs', sum_pairs), ('enqueue_positives', enqueue_positives),
                             ('channels_last', channels_last)]:
            check_bool(f'model.{name}', switch)
        super().__init__(dict(dict(type='clim_mm.ViewPreprocessor'), **(data_preprocessor or {})), init_cfg)
        self.backbone, self.neck, self.head = (MODELS.build(part) for part in (backbone, neck, head))
        self.channels_last = channels_last
        check_encoder(self.encoder('query'), feat_dim)
        self.encoder_k = MomentumEncoder(self.encoder('query'), 1 - momentum)
        self.queue = KeyQueue(feat_dim, queue_len or 0)
        self.register_load_state_dict_pre_hook(adapt_state)
        self.key_shuffle = KeyShuffle(bn_splits)
        self.key_shuffle.split(self)
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.mask_own_keys = mask_own_keys
        self.sum_pairs = sum_pairs
        self.enqueue_positives = enqueue_positives
        self.advance_after_loss = True

    def init_weights(self) -> None:
        """Initialise the query encoder, and start the momentum encoder as its copy.

        The first refresh extracts before the first training step would make that copy.
        """
        if self.channels_last:  # in that format the same seed would draw other weights
            self.to(memory_format=torch.contiguous_format)
        super().init_weights()
        self.encoder_k.module.load_state_dict(self.encoder('query').state_dict())
        if self.channels_last:
            self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Any, data_samples: Optional[list] = None, mode: str = 'tensor') -> Any:
        """The losses of named views in mode ``loss``, else the backbone's maps of (N, 3, H, W) images."""
        return self.loss(inputs, data_samples or []) if mode == 'loss' else self.backbone(inputs)

    def loss(self, inputs: Views, data_samples: Sequence[SelfSupDataSample]) -> dict[str, torch.Tensor]:
        """The loss of a batch; the first of an optimizer step moves the momentum encoder.

        Args:
            inputs: ``query``: Q tensors (N, 3, r, r), of any sizes; ``anchor_key`` and ``positive_key``: |R| each, or
                none of the positive's, which is MoCo.
            data_samples: N of them, with ``lam`` (Q weights of the anchor's key) and ``positive_idx`` in their meta
                info, if there are positives; with ``sample_idx``, if own keys are to be masked.

        Returns:
            ``loss``: scalar, the mean (or the sum) over all pairs of a query and a key's resolution. Beside it, to be
            logged: ``relative_nce``, the mean over these pairs divided by log(1 + K), which is 1 at chance;
            ``queue_fill``, the share of the queue that holds keys; ``without_positive``, the share of anchors that
            have none, if there are positive keys; and ``step_figures`` at the largest resolution.

        Raises:
            TrainingError: If the loss is not finite. Nothing has entered the queue then.
        """
        if not isinstance(inputs, dict) or not inputs.get('query') or not inputs.get('anchor_key'):
            raise ConfigError('CLIM takes views by the names query, anchor_key and positive_key: let the pipeline have '
                              'PairViews, and end with PackPair.')
        x_query, x_anchor, x_positive = inputs['query'], inputs['anchor_key'], inputs.get('positive_key', [])
        q = [self.encoder('query')(x)[LAST] for x in x_query]  # Q x (N, C)
        with torch.no_grad():
            if not self.queue.has_waiting:
                self.encoder_k.update_parameters(self.encoder('query'))
            anchor_keys = [self.key_shuffle.keys(self.encoder_k, x)[LAST] for x in x_anchor]  # |R| x (N, C)
            positive_keys = [self.key_shuffle.keys(self.encoder_k, x)[LAST] for x in x_positive]  # |R| x (N, C)
        lam = q[0].new_ones(len(q), len(q[0]))  # Q x N
        if x_positive:
            lam = q[0].new_tensor([sample.lam for sample in data_samples]).T
        anchor_ids, positive_ids = image_ids(data_samples, self.queue.ids.device)  # N, N

        # Keys that enter before backward must not change what it needs; `advance` lets them enter after it.
        negatives = self.queue.keys.clone() if self.advance_after_loss else self.queue.keys
        own = self.queue.own(anchor_ids, positive_ids) if self.mask_own_keys else None  # N x K
        losses = [self.head(q_r, anchor_keys, positive_keys, negatives, lam_r, own)
                  for q_r, lam_r in zip(q, lam, strict=True)]
        mean_loss = torch.stack(losses).mean()
        if not torch.isfinite(mean_loss):
            raise TrainingError('The loss is not finite: this step enters neither the queue nor a checkpoint. Start '
                                'from the last checkpoint\'s weights, by load_from without --resume, with a lower '
                                'learning rate or without mixed precision.')
        top_query, top = _largest(x_query), _largest(x_anchor)
        figures = step_figures(q[top_query], anchor_keys[top], (positive_keys or anchor_keys)[top], negatives,
                               lam[top_query])
        figures['relative_nce'] = mean_loss.detach() / math.log(1 + len(self.queue))
        figures['queue_fill'] = self.queue.fill
        if positive_keys:
            figures['without_positive'] = (positive_ids < 0).float().mean()
        self.queue.wait(anchor_keys[top], anchor_ids)
        if self.enqueue_positives and positive_keys:
            self.queue.wait(positive_keys[top], torch.where(positive_ids == NO_POSITIVE, anchor_ids, positive_ids))
        if self.advance_after_loss:
            self.advance()
        return dict(loss=mean_loss * (len(x_query) * len(x_anchor) if self.sum_pairs else 1), **figures)

    def encoder(self, name: str) -> Encoder:
        """The ``momentum`` or the ``query`` encoder."""
        return self.encoder_k.module if name == 'momentum' else Encoder(self.backbone, self.neck, self.channels_last)

    @property
    def embedding_dim(self) -> int:
        """C."""
        return self.queue.dim

    @property
    def queues(self) -> dict[str, KeyQueue]:
        """The queue, by its level."""
        return {LAST: self.queue}

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


def _largest(views: Sequence[torch.Tensor]) -> int:
    """The place of the largest view, the first if there are several: its keys enter the queue [ours]."""
    return max(range(len(views)), key=lambda i: views[i].shape[-1])
