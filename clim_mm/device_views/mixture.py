"""Mixing a batch of images with another, each pair by a rectangle and a share of its own."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Mixture:
    """How an anchor's image and its positive's become one: CutMix, MixUp, or not at all.

    Attributes:
        box: Top, left, bottom, right in pixels, the last two exclusive: where the positive comes in.
        corner: Top and left, in the positive's image, of what comes there.
        share: Of the anchor in each pixel of the box: 0 for CutMix.
        lam: Of the anchor in the whole, 0 to 1: the weight of its key in the loss.
    """

    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    corner: tuple[int, int] = (0, 0)
    share: float = 0.0
    lam: float = 1.0

    def as_row(self) -> np.ndarray:
        """(7,) float32: box, corner, share."""
        return np.array([*self.box, *self.corner, self.share], dtype=np.float32)


def mixed(images: torch.Tensor, others: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Mix each image with the other of its place in the batch.

    Args:
        images, others: (N, C, H, W) float32.
        rows: (N, 7) float32 of ``Mixture.as_row``.

    Returns:
        As ``images``.
    """
    height, width = images.shape[-2:]
    top, left, bottom, right, from_top, from_left, share = rows.unbind(1)
    within_rows, rows_from = _line(height, top, bottom, from_top)
    within_columns, columns_from = _line(width, left, right, from_left)
    patch = others.gather(2, rows_from[:, None, :, None].expand_as(others))
    patch = patch.gather(3, columns_from[:, None, None, :].expand_as(others))
    inside = within_rows[:, None, :, None] & within_columns[:, None, None, :]
    share = share.view(-1, 1, 1, 1)
    return torch.where(inside, share * images + (1 - share) * patch, images)


def _line(length: int, begin: torch.Tensor, end: torch.Tensor,
          source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Along one side: (N, length) bool, what is in the box, and (N, length) int64, from where it is taken."""
    places = torch.arange(length, device=begin.device, dtype=begin.dtype)[None]
    within = (places >= begin[:, None]) & (places < end[:, None])
    return within, (places + (source - begin)[:, None]).clamp(0, length - 1).long()
