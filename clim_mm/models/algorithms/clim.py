"""CLIM: from a batch of named views to the loss."""

from collections.abc import Sequence

import torch

from clim_mm.checks import check_bool
from clim_mm.host import SelfSupDataSample
from clim_mm.registry import MODELS

from ..parts.encoder import LAST
from ..parts.key_queue import image_ids
from ..parts.momentum_contrast import MomentumContrast, largest
from ..parts.view_preprocessor import Views


@MODELS.register_module()
class CLIM(MomentumContrast):
    """Center-wise Local Image Mixture: https://arxiv.org/abs/2011.02697.

    MoCo v2 whose query is an image mixed with one of its neighbours, pulled towards the keys of both, for
    every ordered pair of resolutions. With unmixed views of one resolution it is MoCo v2.

    Args:
        sum_pairs: Sum the loss over the pairs of resolutions [paper 3.3]. False takes the mean [ours].
        kwargs: Of :class:`MomentumContrast`. The head is called as a :class:`MixedContrastiveHead`.
    """

    def __init__(self, *args, sum_pairs: bool = False, **kwargs) -> None:
        check_bool('model.sum_pairs', sum_pairs)
        super().__init__(*args, **kwargs)
        self.sum_pairs = sum_pairs

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
        x_query, x_anchor = self.views(inputs, 'query', 'anchor_key')
        x_positive = inputs.get('positive_key', [])
        q = [self.encoder('query')(x)[LAST] for x in x_query]  # Q x (N, C)
        keys = self.keys([*x_anchor, *x_positive])
        anchor_keys = [each[LAST] for each in keys[:len(x_anchor)]]  # |R| x (N, C)
        positive_keys = [each[LAST] for each in keys[len(x_anchor):]]  # |R| x (N, C)
        lam = q[0].new_ones(len(q), len(q[0]))  # Q x N
        if x_positive:
            lam = q[0].new_tensor([sample.lam for sample in data_samples]).T
        anchor_ids, positive_ids = image_ids(data_samples, self.queue.ids.device)[:2]  # N, N

        negatives = self.negatives()[LAST]
        own = self.queue.own(anchor_ids, positive_ids) if self.mask_own_keys else None  # N x K
        losses = [self.head(q_r, anchor_keys, positive_keys, negatives, lam_r, own)
                  for q_r, lam_r in zip(q, lam, strict=True)]
        mean_loss = torch.stack(losses).mean()
        top_query, top = largest(x_query), largest(x_anchor)
        entering = keys[top], keys[len(x_anchor) + top] if x_positive else None
        figures = self.figures(mean_loss, q[top_query], lam[top_query], *entering, positive_ids)
        self.enqueue(mean_loss, *entering, anchor_ids, positive_ids)
        return dict(loss=mean_loss * (len(x_query) * len(x_anchor) if self.sum_pairs else 1), **figures)
