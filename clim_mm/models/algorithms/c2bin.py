"""C2BIN: contrast of the clusters of a batch, while instances are bootstrapped."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from clim_mm.checks import check_bool, check_list, check_number, check_whole
from clim_mm.distributed.gather_with_gradient import gather_with_gradient
from clim_mm.errors import ConfigError
from clim_mm.health import HealthRules
from clim_mm.host import SelfSupDataSample
from clim_mm.registry import MODELS

from ..parts.cluster_health import assignment_figures, cluster_rules
from ..parts.encoder import Encoder
from ..parts.followed_encoder import finite
from ..parts.training_progress import training_epoch
from .byol import BYOL


@MODELS.register_module()
class C2BIN(BYOL):
    """BYOL that also contrasts clusters, after the idea of https://openreview.net/forum?id=MRQJmsNPp8E.

    That paper's abstract names the two losses and several scales of clustering. All that it leaves open is taken from
    precedents or chosen here: nothing below is the paper's own setting.

    ``L = L_boot + beta * L_multi``: each head assigns the images of a batch to its clusters, by the pooled features of
    the online backbone [CC]. ``L_multi`` is the mean of the heads' losses [ours], on the batches of all processes.

    Args:
        backbone, neck, head: As for :class:`BYOL`.
        cluster_head: The config of a head, called as a :class:`ClusterContrastHead`, without its ``num_clusters``.
        num_clusters: K of each head, rising. C, 2C and 4C for C classes looked for [ours].
        beta: The weight of ``L_multi``, 0 or more. 1 [CC]; 0.1 [ProPos].
        start_epoch: The epoch, from 0, from which on clusters are contrasted. 0 [CC]; 50 [ProPos].
        clustered_labels_only: Leave images without a label (``gt_label`` -1) out of ``L_multi``, as the unlabelled
            part of STL-10 [CC]. The labels themselves are not looked at.
        **kwargs: As for :class:`BYOL`.
    """

    def __init__(self,
                 backbone: dict,
                 neck: dict,
                 head: dict,
                 cluster_head: dict,
                 num_clusters: Sequence[int],
                 beta: float = 1.0,
                 start_epoch: int = 0,
                 clustered_labels_only: bool = False,
                 **kwargs: Any) -> None:
        check_list('model.num_clusters', num_clusters)
        for number in num_clusters:
            check_whole('A number of model.num_clusters', number, least=2)
        if list(num_clusters) != sorted({*num_clusters}):
            raise ConfigError(f'model.num_clusters must rise from head to head, not {list(num_clusters)}: sort them, '
                              'each once.')
        check_number('model.beta', beta, least=0)
        check_whole('model.start_epoch', start_epoch)
        check_bool('model.clustered_labels_only', clustered_labels_only)
        super().__init__(backbone, neck, head, **kwargs)
        self.num_clusters = tuple(num_clusters)
        self.cluster_heads = nn.ModuleList(
            MODELS.build(dict(cluster_head, num_clusters=number)) for number in self.num_clusters)
        self.beta = beta
        self.start_epoch = start_epoch
        self.clustered_labels_only = clustered_labels_only

    @property
    def health_rules(self) -> HealthRules:  # type: ignore[override]
        """Of the bootstrapping, and of each head."""
        return cluster_rules(self.num_clusters)

    def loss(self, inputs: Sequence[torch.Tensor],
             data_samples: Sequence[SelfSupDataSample]) -> dict[str, torch.Tensor]:
        """The losses of a batch; the first of an optimizer step moves the target.

        Args:
            inputs: Two views, (N, 3, H, W) each.
            data_samples: N of them, with ``gt_label`` if unlabelled images are left out of the clusters.

        Returns:
            ``loss_boot`` and ``loss_cluster``, weighted, whose sum is the loss; ``bootstrap_figures`` and each head's
            ``assignment_figures`` to be logged, with ``_head_K`` at their ends.

        Raises:
            TrainingError: If the loss is not finite.
        """
        maps, loss_boot, figures = self.bootstrap(inputs)
        loss_multi, more = self._contrast_clusters([self._assignments(of_view) for of_view in maps], data_samples)
        # Before the start the heads have a gradient of 0, which processes need to agree on.
        loss_cluster = (self.beta if training_epoch() >= self.start_epoch else 0.0) * loss_multi
        finite(loss_boot.detach() + loss_cluster.detach())
        return dict(loss_boot=loss_boot, loss_cluster=loss_cluster, **figures, **more)

    @torch.no_grad()
    def assign_batch(self, batch: dict, amp: bool = False, channels_last: bool = False) -> torch.Tensor:
        """(N, sum of num_clusters) float32 soft assignments of a DataLoader's batch, the heads side by side.

        By the online network, of the first view, in the mode (train or eval) that it is in.
        """
        inputs, _ = self.data_preprocessor(batch)
        encoder = Encoder(self.backbone, self.neck, channels_last or self.channels_last)
        with torch.autocast(inputs[0].device.type, torch.bfloat16) if amp else nullcontext():
            return self._assignments(encoder.maps(inputs[0])).float()

    def check_batch(self, images: int) -> str:
        """What is wrong with ``images`` in a batch of all processes; '' if nothing is.

        Raises:
            ConfigError: If the clusters of a head would have fewer than 2 images on average [ours].
        """
        most, sentence = max(self.num_clusters), (
            'A batch of {} images has {:.2g} for each of the {} clusters of the largest head: lower model.num_clusters '
            'or raise train_dataloader.batch_size, so that each has 4 or more.')
        if most > images / 2:
            raise ConfigError(sentence.format(images, images / most, most))
        return sentence.format(images, images / most, most) if most > images / 4 else ''

    def _assignments(self, maps: Any) -> torch.Tensor:
        """(N, sum of num_clusters) soft assignments by the backbone's maps, the heads side by side."""
        pooled = F.adaptive_avg_pool2d(maps[-1], 1).flatten(1)
        return torch.cat([head(pooled) for head in self.cluster_heads], dim=1)

    def _contrast_clusters(self, assignments: list[torch.Tensor], data_samples: Sequence[SelfSupDataSample]
                           ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The mean of the heads' losses and the figures, of both views' assignments by all processes."""
        counted = torch.ones_like(assignments[0][:, :1])  # N x 1: who enters
        if self.clustered_labels_only:
            counted = counted.new_tensor([[label >= 0] for label in labels_of(data_samples)])
        *both, counted = gather_with_gradient(torch.cat([*assignments, counted], dim=1)).split(
            [sum(self.num_clusters)] * 2 + [1], dim=1)
        if self.clustered_labels_only:
            both = [of_view[counted[:, 0] > 0] for of_view in both]
        if not len(both[0]):
            return sum(of_view.sum() for of_view in both), {}  # 0, with a gradient of 0
        per_head = list(zip(*(of_view.split(self.num_clusters, dim=1) for of_view in both), strict=True))
        figures = {f'{name}_head_{K}': figure for K, (first, _) in zip(self.num_clusters, per_head, strict=True)
                   for name, figure in assignment_figures(first).items()}
        losses = [head.loss(*pair) for head, pair in zip(self.cluster_heads, per_head, strict=True)]  # type: ignore[operator]
        return torch.stack(losses).mean(), figures


def labels_of(data_samples: Sequence[SelfSupDataSample]) -> list[int]:
    """The labels of data samples, below 0 for none."""
    if not data_samples or not all('gt_label' in sample for sample in data_samples):
        raise ConfigError('model.clustered_labels_only needs to know which images have a label: let the pipeline end '
                          'with PackSelfSupInputs(algorithm_keys=["sample_idx", "gt_label"]).')
    return [int(sample.gt_label.value) for sample in data_samples]
