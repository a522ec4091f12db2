"""Pictures for people."""

from .positives import draw_positives
from .tsne import choose_images, draw_tsne

__all__ = ['choose_images', 'draw_positives', 'draw_tsne']
