"""Learning rates by the images of an optimizer step, each for the kind of training that it was found for.

Other kinds have none here: fine-tuning on few labels (the paper's rates are for its own two batches), other algorithms,
other optimizers than SGD, backbones of other pretrainings.
"""

from dataclasses import dataclass, replace
from typing import Optional


@dataclass(frozen=True)
class LrRule:
    """A learning rate of SGD in proportion to the images of an optimizer step.

    Attributes:
        lr: For so many ``images``.
        images: Of an optimizer step.
        kind: Of training.
    """

    lr: float
    images: int
    kind: str

    def of(self, images_per_step: int) -> float:
        """The learning rate for so many images."""
        return self.lr * images_per_step / self.images


PRETRAINING = LrRule(0.06, 512, 'pretraining by CLIM or MoCo')  # [paper A.1; moco: 0.03 for 256]
LINEAR = LrRule(30.0, 256, 'linear classifiers on what CLIM or MoCo has pretrained')  # [paper 4.1; moco]


def rule_for(rule: Optional[LrRule], lr_of_512: Optional[float]) -> Optional[LrRule]:
    """The rule that a training is compared with.

    Args:
        rule: That of its kind; None if its kind has none.
        lr_of_512: That of ``PRETRAINING`` for no other wish; or that of the user's own rule; or None for no comparison.
    """
    if lr_of_512 is None:
        return None
    if lr_of_512 == PRETRAINING.lr:
        return rule
    return replace(PRETRAINING, lr=lr_of_512, kind='lr_of_512 of the PreflightHook')
