"""The algorithm: from a batch of views to the loss."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmselfsup.models.algorithms import MoCo
from mmselfsup.structures import SelfSupDataSample
from mmselfsup.utils import batch_shuffle_ddp, batch_unshuffle_ddp, concat_all_gather

from clim_mm.checks import check_bool, check_number, check_whole
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.neighbors.defaults import PAPER_QUEUE_LEN
from clim_mm.registry import MODELS

from .diagnostics import diagnose, not_finite
from .feature_maps import check_feature_maps
from .key_ids import NO_ID, NO_KEY, ids_of_pairs, image_ids, own_keys
from .mixed_contrastive_head import MixedContrastiveHead, at_least_float32
from .momentum_encoder import MomentumEncoder
from .split_batch_norm import split_batch_norms
from .views import largest, split_views

_MOMENTUM = 0.999  # MoCo's, where none is given
_SMALLEST_GROUP = 16


@MODELS.register_module()
class CLIM(MoCo):
    """Center-wise Local Image Mixture: https://arxiv.org/abs/2011.02697.

    MoCo v2 whose query is an image mixed with one of its neighbours, pulled towards the keys of both, for
    every ordered pair of resolutions. With unmixed views of one resolution it is MoCo v2.

    Args:
        backbone, neck, head: Their configs. The head is a :class:`MixedContrastiveHead`.
        queue_len: K, negative keys kept. 65536 [moco]. None leaves it to ``QueueHook``, which derives it from the
            set's size [ours], or to the checkpoint that is loaded.
        feat_dim: C, the dimension of a key. 128 [moco].
        momentum: Of the momentum encoder: the share of itself that it keeps, 0.999 [moco].
        bn_splits: Groups that normalise their batch statistics separately, see :class:`SplitBatchNorm`; the keys are
            shuffled among them. None takes 1 in several processes; in one, where MoCo's shuffle has nothing to
            shuffle, up to 8 of at least 16 images [ours; moco shuffles over 8 processes of 32 images].
        mask_own_keys: Leave out of the negatives what the queue holds of the query's own two images, from earlier
            epochs. None leaves it to ``QueueHook``, which turns it on for small sets [ours].
        sum_pairs: Sum the loss over the pairs of resolutions [paper 3.3]. False takes the mean, so that the learning
            rate does not depend on |R| [ours].
        enqueue_positives: Let the positives' keys enter the queue too, behind the anchors' of the batch [ours]. False:
            the anchors' alone, one for each image [csml]. With both, the queue reaches half as many steps back.
        channels_last: Keep images, features and the weights of convolutions with the channels innermost, which
            convolutions on GPUs with tensor cores and on many CPUs prefer. The values are the same but for rounding.
        **kwargs: ``pretrained``, ``data_preprocessor`` and ``init_cfg``, as for ``mmselfsup.MoCo``.

    Attributes:
        advance_after_loss: Whether each ``loss`` is one optimizer step. If not, the keys wait for ``advance``.
        key_listeners: Called on every process with what enters the queue, in its order: (n, C) L2-normalised keys of
            all processes, and the (n,) int64 ids of their images, below 0 for none. To be left unchanged; a copy of the
            model has no listeners.

    Raises:
        ConfigError: If a number is out of range, a switch is none, the head is another, or the backbone gives no maps
            of features, or not those that the neck takes.
    """

    queue: torch.Tensor  # C x K
    queue_ids: torch.Tensor  # K
    queue_ptr: torch.Tensor  # 1

    def __init__(self,
                 *args,
                 queue_len: Optional[int] = PAPER_QUEUE_LEN,
                 bn_splits: Optional[int] = None,
                 mask_own_keys: Optional[bool] = None,
                 sum_pairs: bool = False,
                 enqueue_positives: bool = False,
                 channels_last: bool = False,
                 **kwargs) -> None:
        check_whole('model.queue_len', queue_len, least=1, optional=True)
        check_whole('model.bn_splits', bn_splits, least=1, optional=True)
        feat_dim = kwargs.get('feat_dim', 128)
        check_whole('model.feat_dim', feat_dim, least=1)
        check_number('model.momentum', kwargs.get('momentum', _MOMENTUM), above=0, below=1)
        check_bool('model.mask_own_keys', mask_own_keys, optional=True)
        check_bool('model.sum_pairs', sum_pairs)
        check_bool('model.enqueue_positives', enqueue_positives)
        check_bool('model.channels_last', channels_last)
        for name in ('backbone', 'neck', 'head'):
            if not isinstance(kwargs.get(name, {}), dict):  # MMEngine would make a list an empty module
                raise ConfigError(f'model.{name} must be a dict with its type, not {kwargs[name]!r}.')
        neck_dim = kwargs.get('neck', {}).get('out_channels', feat_dim)
        if neck_dim != feat_dim:
            raise ConfigError(f'model.neck.out_channels={neck_dim!r} must be model.feat_dim, the dimension of the keys '
                              f'in the queue, which is {feat_dim}.')
        super().__init__(*args, queue_len=queue_len or 0, **kwargs)
        if not isinstance(self.head, MixedContrastiveHead):
            raise ConfigError(f'CLIM needs a MixedContrastiveHead, but model.head is a {type(self.head).__name__}: set '
                              'its type, or take model.type="mmselfsup.MoCo".')
        check_feature_maps(self.backbone, self.neck)
        self.encoder_k = MomentumEncoder(self._query_encoder(), 1 - kwargs.get('momentum', _MOMENTUM))
        self.register_buffer('queue_ids', torch.full((self.queue_len, ), NO_KEY))
        self.register_load_state_dict_pre_hook(_fit_to_state)
        self._smallest_group = _SMALLEST_GROUP if bn_splits is None else 2
        self.bn_splits = bn_splits or (1 if get_world_size() > 1 else 8)
        if self.bn_splits > 1:
            split_batch_norms(self, self.bn_splits, self._smallest_group)
        self.mask_own_keys = mask_own_keys
        self.sum_pairs = sum_pairs
        self.enqueue_positives = enqueue_positives
        self.channels_last = channels_last
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.advance_after_loss = True
        self.key_listeners: list[Callable[[torch.Tensor, torch.Tensor], None]] = []
        self._waiting: list[tuple[torch.Tensor, torch.Tensor]] = []  # (n, C) keys and (n,) ids, of this process

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy, such as one that a step is rehearsed with: its keys are not those of the training."""
        return dict(vars(self), key_listeners=[])

    def init_weights(self) -> None:
        """Initialise the query encoder, and start the momentum encoder as its copy.

        The first refresh extracts before the first training step would make that copy.
        """
        if self.channels_last:  # in that format the same seed would draw other weights
            self.to(memory_format=torch.contiguous_format)
        super().init_weights()
        self.encoder_k.module.load_state_dict(self._query_encoder().state_dict())
        if self.channels_last:
            self.to(memory_format=torch.channels_last)

    def set_queue_len(self, queue_len: int, generator: Optional[torch.Generator] = None) -> None:
        """Start a queue of another length, of random vectors.

        Args:
            queue_len: K.
            generator: Of the vectors, on the CPU; the same in all processes.
        """
        queue = F.normalize(torch.randn(len(self.queue), queue_len, generator=generator), dim=0)
        self.queue_len = queue_len
        self.queue = queue.to(self.queue)
        self.queue_ids = self.queue_ids.new_full((queue_len, ), NO_KEY)
        self.queue_ptr.zero_()

    def bn_groups(self, batch_size: int) -> int:
        """Groups of batch statistics in one process: 1 means that the statistics of a batch give its positives away."""
        return max(1, min(self.bn_splits, batch_size // self._smallest_group))

    @property
    def keys_per_sample(self) -> int:
        """How many keys of a sample with a positive view enter the queue."""
        return 2 if self.enqueue_positives else 1

    def disown_keys(self) -> None:
        """Forget which images the keys in the queue are of: those of another training set mean nothing here."""
        self.queue_ids[self.queue_ids >= 0] = NO_ID

    def loss(self, inputs: Sequence[torch.Tensor], data_samples: Sequence[SelfSupDataSample],
             **kwargs) -> dict[str, torch.Tensor]:
        """The loss of a batch. Updates the momentum encoder with the first batch of an optimizer step.

        Args:
            inputs: 3|R| tensors (N, 3, r, r): queries, anchor keys and positive keys, each at every r of R.
                Or 2|R| without positive keys: MoCo's two views. There may be other queries than those at every r of R,
                such as unmixed ones or small crops, if ``lam`` tells how many.
            data_samples: N of them, with ``lam`` in their meta info (one for each query) and ``positive_idx``, if
                there are positives; with ``sample_idx``, if own keys are to be masked.

        Returns:
            ``loss``: scalar, the mean (or the sum) over all pairs of a query and a key's resolution. Beside it, to be
            logged: ``relative_nce``, the mean over these pairs divided by log(1 + K), which is 1 at chance;
            ``queue_fill``, the share of the queue that holds keys; ``without_positive``, the share of anchors that
            have none, if the inputs have positive keys; and the figures of ``diagnose`` at the largest resolution.

        Raises:
            ConfigError: If there are more keys than the queue holds, or the inputs are not of that form.
            TrainingError: If the loss is not finite. Nothing has entered the queue then.
        """
        if not self.queue_len:
            raise ConfigError('model.queue_len is None, and no QueueHook has derived it: put one into default_hooks, '
                              'as configs/_base_/clim_runtime.py does, or set a number.')
        first_lam = data_samples[0].get('lam')
        x_query, x_anchor, x_positive = split_views(inputs, len(first_lam) if isinstance(first_lam, list) else None)
        q = [self._normalized(self.neck(self.backbone(self._formatted(x)))[0]) for x in x_query]  # Q x (N, C)
        with torch.no_grad():
            if not self._waiting:
                self.encoder_k.update_parameters(self._query_encoder())
            anchor_keys = [self._key(x) for x in x_anchor]  # |R| x (N, C)
            positive_keys = [self._key(x) for x in x_positive]  # |R| x (N, C)
        lam = self._lam(data_samples, like=q[0], paired=bool(x_positive), num_queries=len(q))  # Q x N
        anchor_ids, positive_ids = image_ids(data_samples, self.queue_ids.device)  # N, N

        # Keys that enter before backward must not change what it needs; `advance` lets them enter after it.
        queue = self.queue.clone() if self.advance_after_loss else self.queue
        own = own_keys(self.queue_ids, anchor_ids, positive_ids) if self.mask_own_keys else None  # N x K
        losses = [
            self.head(q_r, anchor_keys, positive_keys, queue, lam_r, own) for q_r, lam_r in zip(q, lam, strict=True)
        ]
        mean_loss = torch.stack(losses).mean()
        self._check_finite(mean_loss, [inputs, q + anchor_keys + positive_keys], anchor_ids)
        top_query, top = largest(x_query), largest(x_anchor)
        figures = self._figures(mean_loss, q[top_query], anchor_keys[top],
                                positive_keys[top] if positive_keys else None, queue, lam[top_query], positive_ids)
        self._waiting.append((anchor_keys[top], anchor_ids))
        if self.enqueue_positives and positive_keys:
            self._waiting.append((positive_keys[top], ids_of_pairs(anchor_ids, positive_ids)))
        if self.advance_after_loss:
            self.advance()
        return dict(loss=mean_loss * (len(x_query) * len(x_anchor) if self.sum_pairs else 1), **figures)

    def advance(self) -> None:
        """Let the keys of an optimizer step, of all processes, enter the queue; the oldest leave it."""
        if self._waiting:
            keys, ids = (torch.cat(parts) for parts in zip(*self._waiting, strict=True))
            self._waiting.clear()
            self._dequeue_and_enqueue(keys, ids)

    @torch.no_grad()
    def embed(self,
              x: torch.Tensor,
              encoder: str = 'momentum',
              layer: str = 'embedding',
              amp: bool = False,
              channels_last: bool = False) -> torch.Tensor:
        """Features for the choice of positives, in the mode (train or eval) that the model is in.

        Args:
            x: (N, 3, H, W) preprocessed images.
            encoder: ``momentum`` [csml] or ``query``.
            layer: ``embedding``, the C-dimensional output of the neck [paper 3.2.1], or ``pooled``, the
                backbone's average-pooled output [csml].
            amp: Compute in bfloat16 where autocast does.
            channels_last: Give the encoder the images with the channels innermost, as the model's option does.

        Returns:
            (N, d) float32, L2-normalised.
        """
        backbone, neck = self.encoder(encoder)
        with torch.autocast(x.device.type, torch.bfloat16) if amp else nullcontext():
            h = backbone(self._formatted(x, channels_last))
            v = neck(h)[0] if layer == 'embedding' else F.adaptive_avg_pool2d(h[-1], 1).flatten(1)
        return self._normalized(v).float()

    def embed_batch(self, batch: dict, *args: Any, **kwargs: Any) -> torch.Tensor:
        """``embed`` of a batch as a DataLoader gives it: ``inputs``, of which the first view is taken."""
        inputs, _ = self.data_preprocessor(batch)
        return self.embed(inputs[0], *args, **kwargs)

    def encoder(self, name: str) -> nn.Sequential:
        """The backbone and the neck of the ``momentum`` or the ``query`` encoder."""
        return self.encoder_k.module if name == 'momentum' else self._query_encoder()

    def _query_encoder(self) -> nn.Sequential:
        return nn.Sequential(self.backbone, self.neck)

    def _key(self, x: torch.Tensor) -> torch.Tensor:
        """Keys of a view, (N, C): shuffled for batch normalisation over the processes [moco], or over the splits."""
        if self.bn_splits == 1 or get_world_size() > 1:
            x, idx_unshuffle = batch_shuffle_ddp(x)  # processes exchange images in the usual format
            return batch_unshuffle_ddp(self._normalized(self.encoder_k(self._formatted(x))[0]), idx_unshuffle)
        order = torch.randperm(len(x)).to(x.device)
        return self._normalized(self.encoder_k(self._formatted(x[order]))[0])[order.argsort()]

    def _formatted(self, x: torch.Tensor, channels_last: bool = False) -> torch.Tensor:
        """Images as the encoders take them: as they are, or with the channels innermost."""
        return x.contiguous(memory_format=torch.channels_last) if channels_last or self.channels_last else x

    @staticmethod
    def _normalized(v: torch.Tensor) -> torch.Tensor:
        with torch.autocast(v.device.type, enabled=False):
            return F.normalize(at_least_float32(v), dim=1)

    @staticmethod
    def _lam(data_samples: Sequence[SelfSupDataSample], like: torch.Tensor, paired: bool,
             num_queries: int) -> torch.Tensor:
        if not paired:
            return like.new_ones(num_queries, len(like))
        return like.new_tensor([sample.lam for sample in data_samples]).T

    @staticmethod
    def _check_finite(loss: torch.Tensor, parts: Sequence[Sequence[torch.Tensor]], anchor_ids: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            raise TrainingError(not_finite(parts, anchor_ids.tolist()))

    def _figures(self, loss: torch.Tensor, q: torch.Tensor, anchor_keys: torch.Tensor,
                 positive_keys: Optional[torch.Tensor], queue: torch.Tensor, lam: torch.Tensor,
                 positive_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """What ``loss`` returns to be logged."""
        figures = diagnose(q, anchor_keys, anchor_keys if positive_keys is None else positive_keys, queue, lam)
        figures['relative_nce'] = loss.detach() / math.log(1 + self.queue_len)
        figures['queue_fill'] = (self.queue_ids != NO_KEY).float().mean()
        if positive_keys is not None:
            figures['without_positive'] = (positive_ids < 0).float().mean()
        return figures

    @torch.no_grad()
    def _dequeue_and_enqueue(self, keys: torch.Tensor, ids: torch.Tensor) -> None:
        """Overwrite the oldest keys of the queue, wrapping around at its end.

        ``keys``: (N, C) of this process, ``ids``: (N,) of their images; those of all processes enter.
        """
        keys, ids = concat_all_gather(keys), concat_all_gather(ids)
        if len(keys) > self.queue_len:
            raise ConfigError(f'queue_len={self.queue_len} is too short for the {len(keys)} keys of one step: '
                              f'set model.queue_len to at least {len(keys)}, or lower the batch size.')
        slots = (self.queue_ptr + torch.arange(len(keys), device=keys.device)) % self.queue_len
        self.queue[:, slots] = keys.T.to(self.queue.dtype)
        self.queue_ids[slots] = ids
        self.queue_ptr[0] = (self.queue_ptr[0] + len(keys)) % self.queue_len
        for listen in self.key_listeners:
            listen(keys, ids)


def _fit_to_state(model: CLIM, state_dict: dict, prefix: str, *args: Any) -> None:
    """Before a state is loaded: take its queue's length if there is none yet, and admit a state of MoCo."""
    queue = state_dict.get(f'{prefix}queue')
    if queue is None:
        return
    if not model.queue_len:
        model.set_queue_len(queue.shape[1])
    state_dict.setdefault(f'{prefix}queue_ids', torch.full((queue.shape[1], ), NO_ID))
