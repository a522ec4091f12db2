"""Pictures and pages for people."""

from .positives import draw_positives
from .positives_page import PageHead, evenly_spread, positives_page
from .tsne import choose_images, draw_tsne

__all__ = ['PageHead', 'choose_images', 'draw_positives', 'draw_tsne', 'evenly_spread', 'positives_page']
