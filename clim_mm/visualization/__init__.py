"""Pictures and pages for people."""

from .figures import Visualizer, choose_images, draw_positives, draw_tsne
from .positives_page import PageHead, evenly_spread, positives_page

__all__ = [
    'PageHead', 'Visualizer', 'choose_images', 'draw_positives', 'draw_tsne', 'evenly_spread', 'positives_page'
]
