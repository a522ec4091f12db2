"""HSA: from a batch of named views to the loss over terms, positives and levels."""

import math
from collections.abc import Mapping, Sequence
from typing import Optional

import torch

from clim_mm.checks import check_number
from clim_mm.errors import ConfigError
from clim_mm.host import SelfSupDataSample
from clim_mm.registry import MODELS

from ..parts.contrastive_health import step_figures
from ..parts.key_queue import image_ids
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
        crops = [('anchor', [x]) for x in inputs.get('anchor_crops', [])]  # each counts as a term
        terms = [*crops, *zip(self.terms, x_queries, strict=True)]
        # Each kind of view has batch statistics of its own [csml].
        q = [[self.encoder('query')(x) for x in images] for _, images in terms]
        keys = self.keys([x for images in (x_anchor, *x_positives) for x in images])  # (1 + n) |R|
        ids = image_ids(data_samples, self.queue.ids.device)  # (1 + n) x N

        b = self.other_weight if training_share() >= self.warmup else 0.0
        lam = keys[0][self.levels[-1]].new_ones(1, len(data_samples))
        if 'mixed' in self.terms:
            lam = lam.new_tensor([sample.lam for sample in data_samples]).T  # Q x N
        weights = [[key_weights(term, b, lam[i if term == 'mixed' else 0], len(x_positives)) for i in range(len(images))]
                   for term, images in terms]
        negatives, by_level = self.negatives(), {}
        own = self.queue.own(*ids) if self.mask_own_keys else None  # N x K
        for level in self.levels:
            of_level = [key[level] for key in keys]
            by_level[level] = torch.stack([
                torch.stack([
                    self.head(view[level], of_level, spread(w, len(x_anchor)), negatives[level], own)
                    for view, w in zip(views, of_term, strict=True)]).mean()
                for views, of_term in zip(q, weights, strict=True)]).mean()
        total = sum(self.level_weights.values())
        loss = sum(weight / total * by_level[level] for level, weight in self.level_weights.items())

        last, at_chance = self.levels[-1], math.log(1 + len(self.queue))
        top_query, top = largest(terms[-1][1]), largest(x_anchor)
        positive = keys[len(x_anchor) + top if x_positives else top]
        figures = step_figures(q[-1][top_query][last], keys[top][last], positive[last], negatives[last],
                               weights[-1][top_query][0])
        figures['relative_nce'] = by_level[last].detach() / at_chance
        if len(self.levels) > 1:
            figures.update({f'relative_nce_{level}': by_level[level].detach() / at_chance for level in self.levels})
        figures['queue_fill'] = self.queue.fill
        if x_positives:
            figures['without_positive'] = (ids[1] < 0).float().mean()
        self.enqueue(loss, keys[top], positive if x_positives else None, ids[0], ids[1])
        return dict(loss=loss, **figures)


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


def spread(weights: torch.Tensor, num_resolutions: int) -> torch.Tensor:
    """(P |R|, N) weights of keys at each resolution, for (P, N) of the images."""
    return weights.repeat_interleave(num_resolutions, dim=0) / num_resolutions
