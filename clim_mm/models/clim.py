"""The algorithm: from a batch of views to the loss."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmselfsup.models.algorithms import MoCo
from mmselfsup.structures import SelfSupDataSample
from mmselfsup.utils import batch_shuffle_ddp, batch_unshuffle_ddp, concat_all_gather

from clim_mm.errors import ConfigError
from clim_mm.registry import MODELS

from .mixed_contrastive_head import at_least_float32


@MODELS.register_module()
class CLIM(MoCo):
    """Center-wise Local Image Mixture: https://arxiv.org/abs/2011.02697.

    MoCo v2 whose query is an image mixed with one of its neighbours, pulled towards the keys of both, for
    every ordered pair of resolutions. With unmixed views of one resolution it is MoCo v2.

    Args:
        backbone, neck, head: Their configs. The head is a :class:`MixedContrastiveHead`.
        queue_len: K, negative keys kept. 65536 [moco].
        feat_dim: C, the dimension of a key. 128 [moco].
        momentum: Of the momentum encoder: the share of itself that it keeps, 0.999 [moco].
        sum_pairs: Sum the loss over the pairs of resolutions [paper 3.3]. False takes the mean, so that the learning
            rate does not depend on |R| [ours].
        **kwargs: ``pretrained``, ``data_preprocessor`` and ``init_cfg``, as for ``mmselfsup.MoCo``.
    """

    def __init__(self, *args, sum_pairs: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.sum_pairs = sum_pairs

    def init_weights(self) -> None:
        """Initialise the query encoder, and start the momentum encoder as its copy.

        The first refresh extracts before the first training step would make that copy.
        """
        super().init_weights()
        self.encoder_k.module.load_state_dict(self._query_encoder().state_dict())

    def loss(self, inputs: Sequence[torch.Tensor], data_samples: Sequence[SelfSupDataSample],
             **kwargs) -> dict[str, torch.Tensor]:
        """The loss of a batch; updates the momentum encoder and the queue.

        Args:
            inputs: 3|R| tensors (N, 3, r, r): queries, anchor keys and positive keys, each at every r of R.
                Or 2|R| without positive keys: MoCo's two views.
            data_samples: N of them, with ``lam`` in their meta info (one for each r) if there are positives.

        Returns:
            ``loss``: scalar, the mean (or the sum) over the ordered pairs of resolutions.

        Raises:
            ConfigError: If there are more keys than the queue holds, or the inputs are not of that form.
        """
        x_query, x_anchor, x_positive = split_views(inputs)
        q = [self._normalized(self.neck(self.backbone(x))[0]) for x in x_query]  # |R| x (N, C)
        with torch.no_grad():
            self.encoder_k.update_parameters(self._query_encoder())
            anchor_keys = [self._key(x) for x in x_anchor]  # |R| x (N, C)
            positive_keys = [self._key(x) for x in x_positive]  # |R| x (N, C)
        lam = self._lam(data_samples, like=q[0], paired=bool(x_positive), num_resolutions=len(q))  # |R| x N

        queue = self.queue.clone()  # the enqueued keys must not change what backward needs
        losses = [self.head(q_r, anchor_keys, positive_keys, queue, lam_r) for q_r, lam_r in zip(q, lam, strict=True)]
        self._dequeue_and_enqueue(anchor_keys[largest(x_anchor)])
        num_pairs = len(x_query) * len(x_anchor)
        return dict(loss=torch.stack(losses).mean() * (num_pairs if self.sum_pairs else 1))

    @torch.no_grad()
    def embed(self, x: torch.Tensor, encoder: str = 'momentum', layer: str = 'embedding') -> torch.Tensor:
        """Features for the choice of positives, in the mode (train or eval) that the model is in.

        Args:
            x: (N, 3, H, W) preprocessed images.
            encoder: ``momentum`` [csml] or ``query``.
            layer: ``embedding``, the C-dimensional output of the neck [paper 3.2.1], or ``pooled``, the
                backbone's average-pooled output [csml].

        Returns:
            (N, d) float32, L2-normalised.
        """
        backbone, neck = self.encoder(encoder)
        h = backbone(x)
        v = neck(h)[0] if layer == 'embedding' else F.adaptive_avg_pool2d(h[-1], 1).flatten(1)
        return self._normalized(v).float()

    def embed_batch(self, batch: dict, encoder: str = 'momentum', layer: str = 'embedding') -> torch.Tensor:
        """``embed`` of a batch as a DataLoader gives it: ``inputs``, of which the first view is taken."""
        inputs, _ = self.data_preprocessor(batch)
        return self.embed(inputs[0], encoder, layer)

    def encoder(self, name: str) -> nn.Sequential:
        """The backbone and the neck of the ``momentum`` or the ``query`` encoder."""
        return self.encoder_k.module if name == 'momentum' else self._query_encoder()

    def _query_encoder(self) -> nn.Sequential:
        return nn.Sequential(self.backbone, self.neck)

    def _key(self, x: torch.Tensor) -> torch.Tensor:
        """Keys of a view, (N, C): shuffled over the processes for batch normalisation [moco]."""
        x, idx_unshuffle = batch_shuffle_ddp(x)
        k = self._normalized(self.encoder_k(x)[0])
        return batch_unshuffle_ddp(k, idx_unshuffle)

    @staticmethod
    def _normalized(v: torch.Tensor) -> torch.Tensor:
        with torch.autocast(v.device.type, enabled=False):
            return F.normalize(at_least_float32(v), dim=1)

    @staticmethod
    def _lam(data_samples: Sequence[SelfSupDataSample], like: torch.Tensor, paired: bool,
             num_resolutions: int) -> torch.Tensor:
        if not paired:
            return like.new_ones(num_resolutions, len(like))
        return like.new_tensor([sample.lam for sample in data_samples]).T

    @torch.no_grad()
    def _dequeue_and_enqueue(self, keys: torch.Tensor) -> None:
        """Overwrite the oldest keys of the queue, wrapping around at its end.

        ``keys``: (N, C) of this process; those of all processes enter.
        """
        keys = concat_all_gather(keys)
        if len(keys) > self.queue_len:
            raise ConfigError(f'queue_len={self.queue_len} is too short for the {len(keys)} keys of one step: '
                              f'set model.queue_len to at least {len(keys)}, or lower the batch size.')
        slots = (self.queue_ptr + torch.arange(len(keys), device=keys.device)) % self.queue_len
        self.queue[:, slots] = keys.T.to(self.queue.dtype)
        self.queue_ptr[0] = (self.queue_ptr[0] + len(keys)) % self.queue_len


def split_views(inputs: Sequence[torch.Tensor]) -> tuple[list, list, list]:
    """Divide a sample's views into queries, anchor keys and positive keys, each at every resolution.

    Args:
        inputs: 3|R| or 2|R| tensors (N, 3, r, r), R in the same order in each part, without repetition.

    Returns:
        Three lists of |R| tensors; the third is empty for 2|R| inputs.

    Raises:
        ConfigError: If the inputs are not of that form.
    """
    sizes = [tuple(x.shape[-2:]) for x in inputs]
    num_resolutions = max(len(set(sizes)), 1)
    parts, rest = divmod(len(inputs), num_resolutions)
    if parts not in (2, 3) or rest or sizes != sizes[:num_resolutions] * parts:
        raise ConfigError('CLIM takes a query, an anchor key and a positive key at each resolution (or MoCo\'s two '
                          f'views), but the pipeline gives views of sizes {sizes}.')
    queries, anchor_keys, *positive_keys = [
        list(inputs[i:i + num_resolutions]) for i in range(0, len(inputs), num_resolutions)
    ]
    return queries, anchor_keys, positive_keys[0] if positive_keys else []


def largest(views: Sequence[torch.Tensor]) -> int:
    """The place of the largest resolution, whose anchor keys enter the queue [ours]."""
    return max(range(len(views)), key=lambda i: views[i].shape[-1])
