"""HSA: from a batch of named views to the loss over terms, positives and levels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

import torch

from clim_mm.checks import check_number
from clim_mm.errors import ConfigError
from clim_mm.host import SelfSupDataSample
from clim_mm.registry import MODELS

from ..parts.key_queue import image_ids
from ..parts.key_shuffle import Features
from ..parts.momentum_contrast import MomentumContrast, largest
from ..parts.training_progress import training_share
from ..parts.view_preprocessor import Views

TERMS = dict(anchor='anchor_query', positive='positive_query', mixed='query')  # the view that is a term's query


@MODELS.register_module()
class HSA(MomentumContrast):
    """Hierarchical Semantic Aggregation: https://arxiv.org/abs/2012.02733.

    Each image is pulled towards its own key and those of neighbours, as is each neighbour and a mixture of the two, at
    several levels of the backbone: ``L = (L_x + L_y + L_mix) / 3`` at each [csml; the levels are ours: the authors'
    code has the last alone]. With the mixed term and one level alone it is CLIM.

    Args:
        terms: Of ``anchor`` (L_x), ``positive`` (L_y) and ``mixed`` (L_mix). All [csml].
        other_weight: b, of the other image's key in L_x and L_y, 0 to 1, divided among the neighbours if several are
            drawn; the own key has a = 1 - b. 0.5 [csml].
        warmup: Share of the training before which b is 0. 0.055, epoch 11 of 200 [csml].
        level_weights: w by the names of the necks' levels; the loss is divided by their sum. None: 1 for each [ours].
        kwargs: Of :class:`MomentumContrast`. The head is called as a :class:`MultiPositiveHead`.
    """

    def __init__(self,
                 *args,
                 terms: Sequence[str] = tuple(TERMS),
                 other_weight: float = 0.5,
                 warmup: float = 0.055,
                 level_weights: Optional[Mapping[str, float]] = None,
                 **kwargs) -> None:
        if not terms or len({*terms}) < len(terms) or not {*terms} <= {*TERMS}:
            raise ConfigError(f'model.terms must name some of {", ".join(TERMS)}, each once, not {terms!r}.')
        check_number('model.other_weight', other_weight, least=0, most=1)
        check_number('model.warmup', warmup, least=0, most=1)
        super().__init__(*args, **kwargs)
        if level_weights is not None and {*level_weights} != {*self.levels}:
            raise ConfigError(f'model.level_weights must have a weight for each of the levels {", ".join(self.levels)} '
                              f'of model.neck, not for {", ".join(level_weights)}.')
        self.level_weights = {level: (level_weights or {}).get(level, 1.0) for level in self.levels}
        for level, weight in self.level_weights.items():
            check_number(f'model.level_weights.{level}', weight, above=0)
        self.terms = tuple(terms)
        self.other_weight = other_weight
        self.warmup = warmup

    def loss(self, inputs: Views, data_samples: Sequence[SelfSupDataSample]) -> dict[str, torch.Tensor]:
        """The loss of a batch; the first of an optimizer step moves the momentum encoder.

        Args:
            inputs: The views of the terms, see ``TERMS``; ``anchor_crops``, if any, further queries of the anchor;
                ``anchor_key``, and ``positive_key``, ``positive_key_2`` ... for each neighbour that is drawn, |R|
                tensors (N, 3, r, r) each; none of a positive's is MoCo.
            data_samples: As for :class:`CLIM`.

        Returns:
            ``loss``: scalar, over the levels the mean, by their weights, of the mean over the terms and crops. Beside
            it the figures of CLIM, of the last level and the last of the terms; and ``relative_nce`` of each level, if
            there are several.

        Raises:
            TrainingError: If the loss is not finite. Nothing has entered the queue then.
        """
        *x_queries, x_anchor = self.views(inputs, *(TERMS[term] for term in self.terms), 'anchor_key')
        x_positives = [images for name, images in inputs.items() if name.startswith('positive_key')]
        if not x_positives and self.terms != ('anchor', ):
            self.views(inputs, 'positive_key')
        b = self.other_weight if training_share() >= self.warmup else 0.0
        lam = x_anchor[0].new_ones(1, len(x_anchor[0]))
        if 'mixed' in self.terms:
            lam = lam.new_tensor([sample.lam for sample in data_samples]).T  # Q x N
        crops = [('anchor', [x]) for x in inputs.get('anchor_crops', [])]  # each counts as a term
        terms = [*crops, *zip(self.terms, x_queries, strict=True)]
        queries = [  # each kind of view has batch statistics of its own [csml]
            Query.of(self.encoder('query')(x), key_weights(term, b, lam_x, len(x_positives)), len(x_anchor),
                     len(images) * len(terms))
            for term, images in terms
            for x, lam_x in zip(images, lam if term == 'mixed' else lam[:1].expand(len(images), -1), strict=True)]
        keys = self.keys([x for images in (x_anchor, *x_positives) for x in images])  # (1 + n) |R|
        ids = image_ids(data_samples, self.queue.ids.device)  # (1 + n) x N

        negatives = self.negatives()
        own = self.queue.own(*ids) if self.mask_own_keys else None  # N x K
        losses = torch.stack([self._of_level(level, queries, keys, negatives[level], own) for level in self.levels])
        w = [*self.level_weights.values()]
        loss = torch.stack([w_s * loss_s for w_s, loss_s in zip(w, losses, strict=True)]).sum() / sum(w)

        top, query = largest(x_anchor), queries[largest(terms[-1][1]) - len(terms[-1][1])]
        entering = keys[top], keys[len(x_anchor) + top] if x_positives else None
        figures = self.figures(losses[-1], query.features[self.levels[-1]], query.lam, *entering, ids[1])
        if len(self.levels) > 1:
            relative = losses.detach() / self.at_chance
            figures.update({f'relative_nce_{level}': value for level, value in zip(self.levels, relative, strict=True)})
        self.enqueue(loss, *entering, ids[0], ids[1])
        return dict(loss=loss, **figures)

    def _of_level(self, level: str, queries: Sequence['Query'], keys: Sequence[Features], negatives: torch.Tensor,
                  own: Optional[torch.Tensor]) -> torch.Tensor:
        """The loss of one level: the mean over the terms."""
        of_level = [key[level] for key in keys]
        total = negatives.new_zeros(())
        for query in queries:
            total = total + self.head(query.features[level], of_level, query.weights, negatives, own) / query.divisor
        return total


class Query(NamedTuple):
    """One view that is pulled towards keys."""

    features: Features  # by level
    lam: torch.Tensor  # (N,), weight of the anchor's keys
    weights: torch.Tensor  # ((1 + n) |R|, N), of the anchor's keys and its neighbours'
    divisor: int  # of its loss in the mean: terms, times the term's views

    @classmethod
    def of(cls, features: Features, weights: torch.Tensor, resolutions: int, divisor: int) -> 'Query':
        """A view whose ``key_weights`` the keys of an image share, each resolution the same part."""
        return cls(features, weights[0], weights.repeat_interleave(resolutions, dim=0) / resolutions, divisor)


def key_weights(term: str, b: float, lam: torch.Tensor, num_positives: int) -> torch.Tensor:
    """(1 + n, N) weights of a query's keys: the anchor's, and those of its n neighbours; they add up to 1.

    Args:
        term: Whose query it is: the ``anchor``'s, the first neighbour's (``positive``), or ``mixed`` of the two.
        b: Weight of the other image's key, 0 to 1, divided among the neighbours; the own key has the rest.
        lam: (N,), of the anchor in a mixed query.
    """
    weights = lam.new_zeros(1 + num_positives, len(lam))
    if term == 'mixed':
        weights[0], weights[1] = lam, 1 - lam
    elif term == 'positive':
        weights[0], weights[1] = b, 1 - b
    elif num_positives:
        weights[0], weights[1:] = 1 - b, b / num_positives
    else:
        weights[0] = 1
    return weights
